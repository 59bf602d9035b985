// Drives one WebSocket connection of an npm package, for tests/interop/test_node.py.
//
//   node client.mjs '{"library": "ws", "url": "ws://...", "steps": [["send", "hello"], ["recv"]]}'
//
// Every step prints one line of JSON, its result: what the method or the promise of that name
// gives. `library` is "ws" or "undici"; `ca`, `headers` and `protocols` are optional. Binary
// messages travel as {"base64": ...}.

import { once } from "node:events";
import { channel } from "node:diagnostics_channel";

const TIME_LIMIT = 20_000;

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

class WsClient {
  #received = new Queue();
  #pongs = new Queue();

  constructor({ default: WS }, { url, protocols = [], headers, ca }) {
    this.ws = new WS(url, protocols, { headers, ca });
    this.ws.on("upgrade", (response) => (this.headers = response.headers));
    this.ws.on("message", (data, isBinary) =>
      this.#received.put(encode(isBinary ? data : data.toString())),
    );
    this.ws.on("pong", (data) => this.#pongs.put(encode(data)));
    this.closed = new Promise((resolve) =>
      this.ws.on("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    this.opened = new Promise((resolve) => {
      this.ws.on("open", () => resolve({ protocol: this.ws.protocol, headers: this.headers }));
      this.ws.on("unexpected-response", (request, response) => {
        resolve({ status: response.statusCode });
        request.destroy();
      });
      this.ws.on("error", (error) => resolve({ error: error.message }));
    });
  }

  send = (data) => this.ws.send(decode(data));
  recv = () => this.#received.get();
  bounce = async () => this.send(await this.recv());
  close = (code, reason) => this.ws.close(code, reason);
  terminate = () => this.ws.terminate();

  /** Send one fragment for each of `parts`, and after each a ping that must be answered. */
  async fragments(parts, binary) {
    for (const [index, part] of parts.entries()) {
      this.ws.send(decode(part), { binary, fin: index === parts.length - 1 });
      await this.ping(encode(Buffer.from(`between ${index}`)));
    }
  }

  async ping(payload) {
    this.ws.ping(decode(payload));
    return this.#pongs.get();
  }
}

class UndiciClient {
  #received = new Queue();

  constructor(undici, { url, protocols = [], headers, ca }) {
    this.undici = undici;
    const dispatcher = new undici.Agent({ connect: { ca } });
    this.ws = new undici.WebSocket(url, { protocols, headers, dispatcher });
    this.ws.binaryType = "arraybuffer";
    this.ws.addEventListener("message", ({ data }) => this.#received.put(encode(data)));
    this.closed = once(this.ws, "close").then(([{ code, reason }]) => ({ code, reason }));
    this.opened = new Promise((resolve) => {
      this.ws.addEventListener("open", () => resolve({ protocol: this.ws.protocol }));
      this.ws.addEventListener("error", ({ message }) => resolve({ error: message }));
    });
  }

  send = (data) => this.ws.send(decode(data));
  recv = () => this.#received.get();
  bounce = async () => this.send(await this.recv());
  close = (code, reason) => this.ws.close(code, reason);

  async ping(payload) {
    const pong = new Promise((resolve) => channel("undici:websocket:pong").subscribe(resolve));
    this.undici.ping(this.ws, decode(payload));
    return encode((await pong).payload);
  }
}

const CLIENTS = { ws: WsClient, undici: UndiciClient };

async function main({ library, steps, ...options }) {
  const client = new CLIENTS[library](await import(library), options);
  for (const [name, ...args] of steps) {
    // A method, or a promise such as `opened`.
    const result = await (typeof client[name] === "function" ? client[name](...args) : client[name]);
    console.log(JSON.stringify(result ?? null));
  }
}

setTimeout(() => {
  console.error(`no end after ${TIME_LIMIT} ms`);
  process.exit(1);
}, TIME_LIMIT);
await main(JSON.parse(process.argv[2]));
process.exit(0);
