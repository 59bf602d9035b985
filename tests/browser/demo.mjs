// Drives the demo page in Chromium as a user would.
//
//     node demo.mjs SCENARIO PAGE_URL OUTPUT_FOLDER
//
// Prints one line of JSON, what was seen, for the Python test to judge. Waits only on conditions;
// one that does not come true within TIMEOUT ends the run with an error.

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";

const [, , scenario, url, output] = process.argv;
const TIMEOUT = 20_000;
const MIB = 2 ** 20;

const consoleErrors = [];
const outsideRequests = [];
const sockets = []; // of all pages: { path, sent, received }, but Playwright leaves out empty frames

function watch(context) {
  context.setDefaultTimeout(TIMEOUT);
  context.on("request", (request) => {
    const target = new URL(request.url());
    if (target.protocol !== "data:" && target.origin !== new URL(url).origin) {
      outsideRequests.push(request.url());
    }
  });
  context.on("page", (page) => {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) consoleErrors.push(message.text());
    });
    page.on("pageerror", (error) => consoleErrors.push(String(error)));
    page.on("websocket", (socket) => {
      const target = new URL(socket.url());
      if (target.host !== new URL(url).host) outsideRequests.push(socket.url());
      const seen = { path: target.pathname, sent: [], received: [] };
      sockets.push(seen);
      socket.on("framesent", ({ payload }) => seen.sent.push(payload));
      socket.on("framereceived", ({ payload }) => seen.received.push(payload));
    });
  });
  return context;
}

// ---- what a user does and sees ------------------------------------------------------------

const LINKS = ["echo", "chat", "ping"];

function waitForState(page, state) {
  return Promise.all(
    LINKS.map((link) => page.locator(`#link-${link} .state`, { hasText: new RegExp(`^${state}$`) }).waitFor()),
  );
}

async function open(context) {
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

async function connect(page) {
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await waitForState(page, "OPEN");
}

async function disconnect(page) {
  await page.getByRole("button", { name: "Disconnect" }).click();
  await waitForState(page, "CLOSED");
}

const readCloses = (page) => Promise.all(LINKS.map((link) => page.locator(`#link-${link} .close`).textContent()));

const readLines = (page, log) => page.locator(`#${log} p`).allTextContents();

function waitForPoints(page, count) {
  return page.waitForFunction(
    (least) => Number(document.getElementById("plot").dataset.points) >= least, count,
  );
}

async function sendFile(page, name, bytes, result) {
  const file = path.join(output, name);
  await writeFile(file, bytes);
  await page.getByLabel("File to send").setInputFiles(file);
  await page.getByRole("button", { name: "Send file" }).click();
  const shown = page.locator("#file-result", { hasText: name });
  await shown.filter({ hasText: result }).waitFor();
  return shown.textContent();
}

async function say(page, text) {
  await page.getByLabel("Say to everybody").fill(text);
  await page.getByLabel("Say to everybody").press("Enter");
}

async function joinAs(page, name) {
  await page.getByLabel("Your name").fill(name);
  await connect(page);
}

// ---- scenarios: each returns what was seen ------------------------------------------------

const scenarios = {
  async echo(context) {
    const page = await open(context);
    await page.evaluate(() => {
      const state = document.querySelector("#link-echo .state");
      window.states = [state.textContent];
      new MutationObserver(() => window.states.push(state.textContent)).observe(state, { childList: true });
    });
    await connect(page);
    await page.getByLabel("Message", { exact: true }).fill("hi");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const answer = page.locator("#echo-log b", { hasText: /^HI!!!$/ });
    await answer.waitFor();
    const visible = await answer.isVisible();
    const announced = await page.getByRole("status").first().textContent();
    await disconnect(page);
    return {
      visible,
      announced,
      lines: await readLines(page, "echo-log"),
      states: await page.evaluate(() => window.states),
      closes: await readCloses(page),
      frames: sockets.find((socket) => socket.path === "/"),
    };
  },

  async file(context) {
    const page = await open(context);
    await connect(page);
    const results = {};
    const pattern = Buffer.from(Array.from({ length: 251 }, (_, index) => index));
    for (const [name, size] of [["empty.bin", 0], ["odd.bin", MIB + 13], ["largest.bin", 16 * MIB]]) {
      results[name] = await sendFile(page, name, Buffer.alloc(size, pattern), "Identical");
    }
    results["too-large.bin"] = await sendFile(page, "too-large.bin", Buffer.alloc(16 * MIB + 1), "Too large");
    const { sent, received } = sockets.find((socket) => socket.path === "/");
    const describe = (frame) => `${frame.length} ${createHash("sha256").update(frame).digest("hex")}`;
    return { results, sent: sent.map(describe), received: received.map(describe) };
  },

  // What the page says of an echo that lost a byte's value, and of one that lost a byte.
  async tampered(context) {
    const page = await context.newPage();
    await page.routeWebSocket(/\/$/, (client) => {
      const server = client.connectToServer();
      server.onMessage((message) => {
        const changed = Buffer.from(message);
        if (changed.length % 2) return client.send(changed.subarray(1));
        changed[changed.length - 1] ^= 1;
        client.send(changed);
      });
    });
    await page.goto(url);
    await connect(page);
    return {
      changed: await sendFile(page, "even.bin", Buffer.alloc(1000), "Different"),
      shortened: await sendFile(page, "odd.bin", Buffer.alloc(1001), "Different"),
    };
  },

  async chat(context) {
    const first = await open(context);
    const second = await open(context);
    await joinAs(first, "Ada");
    await joinAs(second, "Ada");
    await first.locator("#chat-log", { hasText: "Ada 2 joined" }).waitFor();
    const present = [await first.locator("#chat-present").textContent(), await second.locator("#chat-present").textContent()];

    await say(first, "hello <img src=nowhere>");
    await second.locator("#chat-log", { hasText: "Ada hello" }).waitFor();
    await say(second, "hello yourself");
    await first.locator("#chat-log", { hasText: "Ada 2 hello yourself" }).waitFor();

    await second.getByLabel("Your name").fill("Grace");
    await second.getByRole("button", { name: "Rename" }).click();
    await first.locator("#chat-log", { hasText: "Ada 2 is now Grace" }).waitFor();
    await second.close();
    await first.locator("#chat-log", { hasText: "Grace left" }).waitFor();
    return {
      present,
      afterwards: await first.locator("#chat-present").textContent(),
      images: await first.locator("#chat-log img").count(),
      lines: (await readLines(first, "chat-log")).map((line) => line.replace(/^.*?(?=Ada|Grace)/, "")),
    };
  },

  async roundTrip(context) {
    const page = await open(context);
    await connect(page);
    await waitForPoints(page, 5);
    const read = () => page.evaluate(() => ({
      points: Number(document.getElementById("plot").dataset.points),
      drawn: document.querySelector("#plot .trace").getAttribute("d").match(/[ML]/g).length,
      figures: ["current", "median", "max"].map((id) => document.getElementById(`rtt-${id}`).textContent),
    }));
    const seen = await read();
    await disconnect(page);
    return { ...seen, frames: sockets.find((socket) => socket.path === "/ping") };
  },

  // On a clock of the test's own, seventy seconds pass one by one.
  async roundTripWindow(context) {
    const page = await context.newPage();
    await page.clock.install({ time: 0 });
    await page.goto(url);
    await page.clock.pauseAt(60_000);
    await connect(page);
    await waitForPoints(page, 1);
    await page.evaluate(() => {
      const plot = document.getElementById("plot");
      window.counts = []; // of points, after each answer
      const observer = new MutationObserver(() => window.counts.push(Number(plot.dataset.points)));
      observer.observe(plot, { childList: true });
    });
    for (let second = 1; second <= 70; second++) {
      const answers = await page.evaluate(() => window.counts.length);
      await page.clock.runFor(1000);
      await page.waitForFunction((before) => window.counts.length > before, answers);
    }
    return page.evaluate(() => ({
      counts: window.counts,
      first: parseFloat(document.querySelector("#plot .trace").getAttribute("d").slice(1)),
      edge: document.querySelector("#plot .grid").x1.baseVal.value,
    }));
  },

  async keyboard(context) {
    const page = await open(context);
    // Asked for this early, as Chromium opens its own dialog until it knows that one is watched.
    const chooser = page.waitForEvent("filechooser");
    const steps = [];
    const focused = () => page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return null;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const label = element.labels?.[0]?.textContent ?? element.getAttribute("aria-label") ?? element.textContent;
      return { id: element.id, label, outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
    });
    const tabTo = async (label) => {
      for (let count = 0; count < 30; count++) {
        await page.keyboard.press("Tab");
        const element = await focused();
        if (element) steps.push(element);
        if (element?.label === label) return;
      }
      throw new Error(`Tab never reached ${label}`);
    };

    await tabTo("Connect");
    await page.keyboard.press("Enter");
    await waitForState(page, "OPEN");
    const kept = (await focused())?.label; // using a button does not lose the place
    await tabTo("Message");
    await page.keyboard.type("hi");
    await page.keyboard.press("Enter");
    await page.locator("#echo-log", { hasText: "HI!!!" }).waitFor();
    await page.keyboard.type("again");
    await page.keyboard.press("Enter");
    await page.locator("#echo-log", { hasText: "AGAIN!!!" }).waitFor();
    await tabTo("File to send");
    await page.keyboard.press("Enter");
    await (await chooser).setFiles({ name: "note.txt", mimeType: "text/plain", buffer: Buffer.from("keys only") });
    await tabTo("Send file");
    await page.keyboard.press("Space");
    await page.locator("#file-result", { hasText: "Identical" }).waitFor();
    await tabTo("Your name");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Keys");
    await page.keyboard.press("Enter");
    await page.locator("#chat-log", { hasText: "is now Keys" }).waitFor();
    await tabTo("Say to everybody");
    await page.keyboard.type("typed");
    await page.keyboard.press("Enter");
    await page.locator("#chat-log", { hasText: "Keys typed" }).waitFor();
    await tabTo("Say"); // the last stop
    await page.keyboard.press("Tab");
    await tabTo("Disconnect"); // round the end of the page: nothing held the focus
    await page.keyboard.press("Enter");
    await waitForState(page, "CLOSED");
    return { kept, steps, closes: await readCloses(page) };
  },

  // Says when the page is connected; the test then stops the server.
  async stopped(context) {
    const page = await open(context);
    await connect(page);
    console.log("connected");
    await waitForState(page, "CLOSED");
    const closes = await readCloses(page);
    const errors = consoleErrors.splice(0);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.locator("#link-ping .close", { hasText: "could not connect" }).waitFor();
    await waitForState(page, "CLOSED");
    const refused = await readCloses(page);
    consoleErrors.splice(0, Infinity, ...errors); // Chromium itself reports the refused ones
    return { closes, refused };
  },

  // The page's own policy keeps a script or a style that somebody slipped in from working.
  async policy(context) {
    const page = await open(context);
    const works = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.slippedIn = true";
      const style = document.createElement("style");
      style.textContent = "h1 { display: none }";
      document.head.append(script, style);
      return [Boolean(window.slippedIn), getComputedStyle(document.querySelector("h1")).display === "none"];
    });
    const reported = consoleErrors.splice(0).filter((text) => text.includes("Content Security Policy"));
    return { works, reported: reported.length };
  },

  async screenshots() {
    const views = {};
    for (const [name, colorScheme, width] of [["light", "light", 1280], ["dark", "dark", 1280], ["narrow", "light", 360]]) {
      const context = watch(await browser.newContext({ colorScheme, viewport: { width, height: 800 } }));
      const page = await open(context);
      await joinAs(page, "Ada");
      await page.getByLabel("Message", { exact: true }).fill("hi");
      await page.keyboard.press("Enter");
      await page.getByLabel("Message", { exact: true }).press("Enter");
      await page.locator("#echo-log", { hasText: "HI!!!" }).waitFor();
      await sendFile(page, "holiday.jpg", Buffer.alloc(123_456, 1), "Identical");
      await say(page, "a-word-without-any-place-to-break-".repeat(6));
      await page.locator("#chat-log", { hasText: "Ada a-word" }).waitFor();
      await waitForPoints(page, 4);
      const file = path.join(output, `${name}.png`);
      await page.screenshot({ path: file, fullPage: true });
      views[name] = await page.evaluate((file) => ({
        file,
        background: getComputedStyle(document.body).backgroundColor,
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      }), file);
      await context.close();
    }
    return { views };
  },
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const seen = await scenarios[scenario](watch(await browser.newContext()));
  console.log(JSON.stringify({ ...seen, consoleErrors, outsideRequests }));
} finally {
  await browser.close();
}
