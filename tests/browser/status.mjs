// Drives the page of the status in Chromium as an operator would; see chromium.mjs.

import { consoleErrors, open, play, shots, sockets, url } from "./chromium.mjs";

const TOKEN = "token-for-the-tests";
const PAGE = `status#token=${TOKEN}`;

const read = (page, id) => page.locator(`#${id}`).textContent();

async function live(page) {
  await page.locator("#state", { hasText: /^Live$/ }).waitFor();
}

const waitFor = (page, id, text) => page.locator(`#${id}`, { hasText: new RegExp(`^${text}$`) }).waitFor();

// Connects as an application's page does, and stays.
function connect(page, path = "/") {
  return page.evaluate((target) => new Promise((resolve, reject) => {
    const socket = new WebSocket(target);
    window.clients = [...(window.clients ?? []), socket];
    socket.onopen = resolve;
    socket.onerror = reject;
  }), url.replace("http", "ws").replace(/\/$/, path));
}

// Waits until the page asks for the token, and returns what it says.
async function asked(page) {
  await page.getByLabel("Token of this server").waitFor();
  return {
    board: await page.locator("#board").isVisible(),
    wrong: await page.locator("#wrong").isVisible(),
    kept: await page.evaluate(() => sessionStorage.getItem("token")),
    numbers: sockets.flatMap(({ received }) => received).length,
  };
}

const scenarios = {
  async numbers(context) {
    const page = await open(context, PAGE);
    await live(page);
    await waitFor(page, "connections", "1");
    await connect(page);
    await connect(page, "/oak");
    await waitFor(page, "connections", "3");
    await page.locator("#topics tbody tr", { hasText: "oak" }).waitFor();
    await page.evaluate(() => {
      window.talking = setInterval(() => window.clients[0].send("x".repeat(1000)), 10);
    });
    await page.waitForFunction(() => {
      const number = (id) => parseFloat(document.getElementById(id).textContent);
      return number("messages-in") >= 5 && number("messages-out") >= 5 && number("bytes-in") > 0;
    });
    await page.waitForFunction(() => /^\d+ connections: half/.test(document.getElementById("round-trips-note").textContent));
    await page.evaluate(() => {
      clearInterval(window.talking);
      window.clients[0].close(4000);
      window.clients[1].close();
    });
    await waitFor(page, "connections", "1");
    const closed = page.locator("#closed tbody tr");
    await closed.nth(1).waitFor();
    return {
      address: page.url(),
      opened: await read(page, "opened"),
      durations: await read(page, "durations-note"),
      closed: (await closed.allTextContents()).sort(),
      topics: await page.locator("#topics").isVisible(),
      workers: await page.locator("#workers tbody tr").count(),
      points: await page.locator("#messages-line .in").getAttribute("d").then((line) => line.split("L").length),
      requests: sockets.map(({ path }) => path),
    };
  },

  async token(context) {
    const page = await open(context, "status");
    const without = await asked(page);
    await page.getByLabel("Token of this server").fill("not-the-token-of-it");
    await page.getByRole("button", { name: "Show the status" }).click();
    await page.locator("#wrong").waitFor();
    const wrong = await asked(page);
    await page.keyboard.type(TOKEN); // the field has the focus
    await page.keyboard.press("Enter");
    await live(page);
    await page.reload(); // this tab still knows it
    await live(page);
    const other = await open(context, "status"); // others do not
    return { without, wrong, other: (await asked(other)).kept };
  },

  // Says when the page is live; the test then restarts the server, with nobody connected.
  async restarted(context) {
    const page = await open(context, PAGE);
    await live(page);
    await connect(page);
    await waitFor(page, "connections", "2");
    const before = await read(page, "workers");
    console.log("live");
    await page.locator("#state", { hasText: "Connection lost" }).waitFor();
    const stale = await page.locator("#board").evaluate((board) => Number(getComputedStyle(board.firstElementChild).opacity));
    console.log("lost");
    await live(page);
    await waitFor(page, "connections", "1");
    const refused = consoleErrors.splice(0); // Chromium itself reports those that were refused meanwhile
    return { stale, refused, isAnother: before !== await read(page, "workers"), opened: await read(page, "opened") };
  },

  // Says when the page is live, and when it says that the broker is away; the test sees to that.
  async broker(context) {
    const page = await open(context, PAGE);
    await live(page);
    const note = page.locator(".note", { has: page.locator("#broker") });
    const before = await note.innerText();
    console.log("live");
    await page.locator("#broker").waitFor();
    const away = await note.innerText();
    console.log("away");
    await page.locator("#broker").waitFor({ state: "hidden" });
    return { before, away, after: await note.innerText() };
  },

  // The page's own policy keeps a script or a style that somebody slipped in from working.
  async policy(context) {
    const page = await open(context, PAGE);
    await live(page);
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
      const page = await open(context, PAGE);
      await live(page);
      await page.locator("#closed tbody tr").nth(1).waitFor();
      await page.locator("#slowest tbody tr").first().waitFor();
      return page;
    });
  },
};

await play(scenarios);
