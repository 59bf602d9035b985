// What the scenarios of all pages have in common.
//
//     node PAGE.mjs SCENARIO PAGE_URL OUTPUT_FOLDER
//
// prints one line of JSON, what was seen, for the Python test to judge. Scenarios wait only on
// conditions; one that does not come true within TIMEOUT ends the run with an error.

import { chromium } from "playwright-core";

const [, , scenario] = process.argv;
export const [, , , url, output] = process.argv;
const TIMEOUT = 20_000;

export const consoleErrors = [];
const outsideRequests = [];
export const sockets = []; // of all pages: { path, sent, received }, but Playwright leaves out empty frames

export const browser = await chromium.launch({
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

export function watch(context) {
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

// Waits until the test says "go on".
export const goOn = () => new Promise((resolve) => {
  process.stdin.once("data", () => { process.stdin.pause(); resolve(); }).resume();
});

export async function open(context, hash = "") {
  const page = await context.newPage();
  await page.goto(url + hash);
  return page;
}

// Calls `look(context, name)` in each of the ways in which a page may be shown; it returns the page.
export async function shots(look) {
  const views = {};
  for (const [name, colorScheme, width] of [
    ["light", "light", 1280], ["dark", "dark", 1280], ["narrow", "light", 360], ["narrow-dark", "dark", 360],
  ]) {
    const context = watch(await browser.newContext({ colorScheme, viewport: { width, height: 800 } }));
    const page = await look(context, name);
    const file = `${output}/${name}.png`;
    await page.screenshot({ path: file, fullPage: true });
    views[name] = await page.evaluate((file) => ({
      file,
      background: getComputedStyle(document.body).backgroundColor,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    }), file);
    await context.close();
  }
  return { views };
}

// Plays the scenario that was asked for.
export async function play(scenarios) {
  try {
    const seen = await scenarios[scenario](watch(await browser.newContext()));
    console.log(JSON.stringify({ ...seen, consoleErrors, outsideRequests }));
  } finally {
    await browser.close();
  }
}
