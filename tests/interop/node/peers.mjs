// WebSocket peers of npm, and Chromium's, driven over stdin and stdout: see peers/node_peer.py.
//
// A line of JSON comes in for each call, `{"id": 1, "target": 0, "name": "recv", "args": []}`, and
// one goes out with its result, `{"id": 1, "result": "hello"}`, or its `error`. Target 0 is this
// driver, the others are what its `connect`, `listen` and `accept` gave. A name is a method's or a
// promise's. Binary messages travel as {"base64": ...}.

import { channel } from "node:diagnostics_channel";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";

const encode = (data) =>
  typeof data === "string" ? data : { base64: Buffer.from(data).toString("base64") };
const decode = (data) => (typeof data === "string" ? data : Buffer.from(data.base64, "base64"));

/** What has arrived and nobody asked for yet, and who waits for what has not arrived yet. */
class Queue {
  #items = [];
  #waiters = [];

  put(item) {
    const waiter = this.#waiters.shift();
    waiter ? waiter(item) : this.#items.push(item);
  }

  get() {
    return this.#items.length > 0
      ? Promise.resolve(this.#items.shift())
      : new Promise((resolve) => this.#waiters.push(resolve));
  }
}

/** A connection: `recv` gives messages and at last `{closed: {code, reason}}`, as `closed` does. */
class Peer {
  received = new Queue();
  closed = new Promise((resolve) => (this.end = (code, reason) => resolve({ code, reason })));

  constructor() {
    this.closed.then((closed) => this.received.put({ closed }));
  }

  recv = () => this.received.get();
  bounce = async () => this.send(await this.recv());
}

/** Package `ws`, either side. */
class WsPeer extends Peer {
  #pongs = new Queue();

  constructor(ws) {
    super();
    this.ws = ws;
    ws.on("upgrade", (response) => (this.headers = response.headers));
    ws.on("message", (data, isBinary) => this.received.put(encode(isBinary ? data : data.toString())));
    ws.on("pong", (data) => this.#pongs.put(encode(data)));
    ws.on("close", (code, reason) => this.end(code, reason.toString()));
    this.opened = new Promise((resolve) => {
      const open = () => resolve({ protocol: ws.protocol, headers: this.headers });
      ws.readyState === ws.OPEN ? open() : ws.on("open", open);
      ws.on("unexpected-response", (request, response) => {
        resolve({ status: response.statusCode });
        request.destroy();
      });
      ws.on("error", (error) => resolve({ error: error.message }));
    });
  }

  static async connect({ url, protocols = [], headers, ca }) {
    const { WebSocket } = await import("ws");
    return new WsPeer(new WebSocket(url, protocols, { headers, ca }));
  }

  send = (data) => this.ws.send(decode(data));
  close = (code, reason) => this.ws.close(code, reason);
  abort = () => this.ws.terminate();

  fragments(parts) {
    const binary = typeof parts[0] !== "string";
    for (const [index, part] of parts.entries()) {
      this.ws.send(decode(part), { binary, fin: index === parts.length - 1 });
    }
  }

  /** Send one fragment for each of `parts`, and after each a ping that must be answered. */
  async fragmentsAndPings(parts, binary) {
    for (const [index, part] of parts.entries()) {
      this.ws.send(decode(part), { binary, fin: index === parts.length - 1 });
      await this.ping(encode(Buffer.from(`between ${index}`)));
    }
  }

  ping(payload) {
    this.ws.ping(decode(payload));
    return this.#pongs.get();
  }
}

/** Package `undici`, which is Node's own WebSocket. */
class UndiciPeer extends Peer {
  static async connect({ url, protocols = [], headers, ca }) {
    const undici = await import("undici");
    const dispatcher = new undici.Agent({ connect: { ca } });
    const peer = new UndiciPeer();
    peer.undici = undici;
    peer.ws = new undici.WebSocket(url, { protocols, headers, dispatcher });
    peer.ws.binaryType = "arraybuffer";
    peer.ws.addEventListener("message", ({ data }) => peer.received.put(encode(data)));
    peer.ws.addEventListener("close", ({ code, reason }) => peer.end(code, reason));
    peer.opened = new Promise((resolve) => {
      peer.ws.addEventListener("open", () => resolve({ protocol: peer.ws.protocol }));
      peer.ws.addEventListener("error", ({ message }) => resolve({ error: message }));
    });
    return peer;
  }

  send = (data) => this.ws.send(decode(data));
  close = (code, reason) => this.ws.close(code, reason);

  async ping(payload) {
    const pongs = channel("undici:websocket:pong");
    const pong = new Promise((resolve) => {
      const take = (event) => {
        if (event.websocket !== this.ws) return;
        pongs.unsubscribe(take);
        resolve(event.payload);
      };
      pongs.subscribe(take);
    });
    this.undici.ping(this.ws, decode(payload));
    return encode(await pong);
  }
}

/** Package `faye-websocket`, with its `permessage-deflate`. */
class FayePeer extends Peer {
  static async connect({ url, protocols = [], headers, ca }) {
    const { default: faye } = await import("faye-websocket");
    const { default: deflate } = await import("permessage-deflate");
    const peer = new FayePeer();
    const options = { headers, tls: { ca }, extensions: [deflate] };
    peer.ws = new faye.Client(url, protocols, options);
    peer.ws.on("message", ({ data }) => peer.received.put(encode(data)));
    peer.ws.on("close", ({ code, reason }) => peer.end(code, reason));
    peer.opened = new Promise((resolve) => {
      peer.ws.on("open", () => resolve({ protocol: peer.ws.protocol }));
      peer.ws.on("error", ({ message }) => resolve({ error: message }));
    });
    return peer;
  }

  send = (data) => this.ws.send(decode(data));
  close = (code, reason) => this.ws.close(code, reason);
  abort = () => this.ws._stream.destroy(); // there is no public way

  ping(payload) {
    const text = decode(payload).toString("latin1"); // it takes text alone
    return new Promise((resolve) => this.ws.ping(text, () => resolve(payload)));
  }
}

/** A page in Chromium; all peers share the browser. */
class ChromiumPeer extends Peer {
  static browser;

  static async connect({ url, protocols = [] }) {
    const { chromium } = await import("playwright-core");
    // The certificates are made for these tests.
    ChromiumPeer.browser ??= chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--ignore-certificate-errors"],
    });
    const peer = new ChromiumPeer();
    peer.page = await (await ChromiumPeer.browser).newPage();
    await peer.page.exposeFunction("received", (data) => peer.received.put(data));
    await peer.page.exposeFunction("ended", async (code, reason) => peer.end(code, reason));
    peer.opened = peer.page.evaluate(connectInPage, { url, protocols });
    return peer;
  }

  send = (data) => this.page.evaluate((data) => window.send(data), data);
  close = (code, reason) => this.page.evaluate(([c, r]) => window.ws.close(c, r), [code, reason]);
  release = () => this.page.close();
}

/** What runs in the page. */
function connectInPage({ url, protocols }) {
  const toText = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));
  const ws = new WebSocket(url, protocols);
  ws.binaryType = "arraybuffer";
  ws.onmessage = ({ data }) =>
    window.received(typeof data === "string" ? data : { base64: toText(data) });
  ws.onclose = ({ code, reason }) => window.ended(code, reason);
  window.ws = ws;
  window.send = (data) =>
    ws.send(
      typeof data === "string" ? data : Uint8Array.from(atob(data.base64), (c) => c.charCodeAt(0)),
    );
  return new Promise((resolve) => {
    ws.onopen = () => resolve({ protocol: ws.protocol });
    ws.onerror = () => resolve({ error: "the page is not told why" });
  });
}

/** A server of package `ws`. */
class WsServer {
  #accepted = new Queue();

  static async listen({ key, cert, protocols }) {
    const { WebSocketServer } = await import("ws");
    const listener = new WsServer();
    listener.server = key ? https.createServer({ key, cert }) : http.createServer();
    const handleProtocols = (offered) => protocols.find((name) => offered.has(name)) ?? false;
    const server = new WebSocketServer({
      server: listener.server,
      handleProtocols,
      perMessageDeflate: true,
    });
    server.on("connection", (ws) => listener.#accepted.put(new WsPeer(ws)));
    listener.server.listen(0, "127.0.0.1");
    await once(listener.server, "listening");
    return listener;
  }

  port = () => this.server.address().port;
  accept = async () => keep(await this.#accepted.get());
  release = () => this.server.close();
}

const CLIENTS = { ws: WsPeer, undici: UndiciPeer, faye: FayePeer, chromium: ChromiumPeer };

const targets = new Map();

function keep(target) {
  const number = targets.size;
  targets.set(number, target);
  return number;
}

keep({
  connect: async (library, options) => keep(await CLIENTS[library].connect(options)),
  listen: async (options) => keep(await WsServer.listen(options)),
});

async function answer({ id, target, name, args }) {
  try {
    const peer = targets.get(target);
    const result = await (typeof peer[name] === "function" ? peer[name](...args) : peer[name]);
    console.log(JSON.stringify({ id, result: result ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ id, error: String(error) }));
  }
}

for await (const line of createInterface({ input: process.stdin })) answer(JSON.parse(line));
process.exit(0); // the tests are over
