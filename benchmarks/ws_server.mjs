// The npm package ws, measured beside the Python servers: see servers.py.

import { createServer } from "node:http";
import { createRequire } from "node:module";

// Installed once, for the tests of interoperability.
const require = createRequire(new URL("../tests/interop/node/package.json", import.meta.url));
const { WebSocketServer } = require("ws");

const everyone = new Set();
const server = createServer();
const perMessageDeflate = process.argv[2] === "deflate" && {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  zlibDeflateOptions: { level: 1 },
};

new WebSocketServer({ server, perMessageDeflate, maxPayload: 2 ** 27 }).on("connection", (ws, request) => {
  if (request.url === "/fanout") {
    everyone.add(ws);
    ws.on("close", () => everyone.delete(ws));
    ws.on("message", (data, binary) => everyone.forEach((each) => each.send(data, { binary })));
  } else {
    ws.on("message", (data, binary) => ws.send(data, { binary }));
  }
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => console.log(server.address().port));
