// Drives the demo page in Chromium as a user would; see chromium.mjs.

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { consoleErrors, open, output, play, shots, sockets, url } from "./chromium.mjs";

const MIB = 2 ** 20;

// ---- what a user does and sees ------------------------------------------------------------

const LINKS = ["echo", "chat", "ping"];

function waitForState(page, state) {
  return Promise.all(
    LINKS.map((link) => page.locator(`#link-${link} .state`, { hasText: new RegExp(`^${state}$`) }).waitFor()),
  );
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

  screenshots() {
    return shots(async (context) => {
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
      return page;
    });
  },
};

await play(scenarios);
