// Drives the page of the rooms in Chromium as its users would; see chromium.mjs.

import { consoleErrors, goOn, open, play, shots, url } from "./chromium.mjs";

// ---- what a user does and sees ------------------------------------------------------------

async function join(page, room, name) {
  await page.getByLabel("Room", { exact: true }).fill(room);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join" }).click();
  await waitForConnection(page);
}

async function enter(context, room, name) {
  const page = await open(context);
  await join(page, room, name);
  return page;
}

async function say(page, text) {
  await page.getByLabel("Say to the room").fill(text);
  await page.getByLabel("Say to the room").press("Enter");
}

const waitForConnection = (page) => page.locator("#state", { hasText: "Connected" }).waitFor();

const waitForLine = (page, text) => page.locator("#log p:not(.unsaid)", { hasText: text }).waitFor();

const waitForPeople = (page, names) =>
  page.waitForFunction((names) => {
    const shown = document.querySelectorAll("#people li");
    return Array.from(shown, (each) => each.textContent).join() === names;
  }, names.join());

async function readLines(page, selector = "p") {
  const lines = await page.locator(`#log ${selector}`).allTextContents();
  return lines.map((line) => line.replace(/^.*\d\d:\d\d( [AP]M)? /, ""));
}

const readPeople = (page) => page.locator("#people li").allTextContents();

// A page whose connection to the server can be cut.
async function openWithCable(context) {
  const page = await context.newPage();
  const cable = { isCut: false, sockets: [], onSent: () => {} };
  await page.routeWebSocket(/\/$/, (socket) => {
    if (cable.isCut) return socket.close({ code: 1001 });
    const server = socket.connectToServer();
    cable.sockets.push(socket, server);
    socket.onMessage((message) => {
      server.send(message);
      cable.onSent(message);
    });
  });
  cable.cut = () => {
    cable.isCut = true;
    cable.sockets.splice(0).forEach((socket) => socket.close({ code: 3000 }));
  };
  await page.goto(url);
  return { page, cable };
}

// ---- scenarios: each returns what was seen ------------------------------------------------

const scenarios = {
  async twoPages(context) {
    const first = await enter(context, "kitchen", "Ada");
    const second = await enter(context, "kitchen", "Grace");
    const elsewhere = await enter(context, "cellar", "Eve");
    await waitForPeople(first, ["Ada", "Grace"]);
    await say(first, "hello <img src=nowhere>");
    await waitForLine(second, "Ada hello");
    await say(second, "hello yourself");
    await waitForLine(first, "Grace hello yourself");
    const seen = { first: await readLines(first), second: await readLines(second), people: await readPeople(second) };
    await second.close();
    await waitForLine(first, "Grace left");
    await waitForPeople(first, ["Ada"]);
    return {
      ...seen,
      elsewhere: await readLines(elsewhere),
      peopleElsewhere: await readPeople(elsewhere),
      peopleAfterwards: await readPeople(first),
      images: await first.locator("#log img").count(),
    };
  },

  async history(context) {
    const first = await enter(context, "kitchen", "Ada");
    for (let number = 1; number <= 60; number++) await say(first, `number ${number}.`);
    await waitForLine(first, "number 60.");
    const second = await enter(context, "kitchen", "Grace");
    const newcomer = await readLines(second);
    await say(second, "I have read all of it");
    await waitForLine(first, "I have read all of it");
    await second.reload();
    await waitForConnection(second); // by itself: it knows the room and the name
    await say(second, "again");
    await waitForLine(second, "Grace again");
    return { newcomer, reloaded: await readLines(second, "p:not(.note)"), title: await second.title() };
  },

  async rooms(context) {
    const first = await enter(context, "kitchen", "Ada");
    const second = await enter(context, "cellar", "Eve");
    await say(second, "it is dark in here");
    await waitForLine(second, "it is dark in here");
    await join(first, "cellar", "Ada");
    await waitForPeople(second, ["Ada", "Eve"]);
    return { lines: await readLines(first), title: await first.title(), hash: new URL(first.url()).hash };
  },

  async missed(context) {
    const first = await enter(context, "kitchen", "Ada");
    const { page: second, cable } = await openWithCable(context);
    await join(second, "kitchen", "Grace");
    await say(first, "before");
    await waitForLine(second, "before");
    cable.cut();
    await waitForLine(first, "Grace left");
    const state = await second.locator("#state").textContent();
    for (let number = 1; number <= 100; number++) await say(first, `missed ${number}.`);
    await say(second, "said meanwhile");
    const unsaid = await readLines(second, ".unsaid");
    await waitForLine(first, "missed 100.");
    cable.isCut = false;
    // It may try by itself just then: there is no button any more.
    await second.getByRole("button", { name: "Try now" }).click({ timeout: 2000 }).catch(() => {});
    await waitForLine(second, "said meanwhile");
    await waitForLine(first, "said meanwhile");
    return { state, unsaid, first: await readLines(first, "p:not(.note)"), second: await readLines(second, "p:not(.note)") };
  },

  // The server has it, but the connection breaks before the page hears of that.
  async cutWhileSaying(context) {
    const first = await enter(context, "kitchen", "Ada");
    const { page: second, cable } = await openWithCable(context);
    await join(second, "kitchen", "Grace");
    cable.onSent = (message) => { if (message.includes("say")) cable.cut(); };
    await say(second, "once");
    await waitForLine(first, "once");
    cable.isCut = false;
    await waitForConnection(second);
    await waitForLine(second, "once");
    await say(first, "and then");
    await waitForLine(second, "and then");
    return { first: await readLines(first, "p:not(.note)"), second: await readLines(second, "p:not(.note)") };
  },

  // Says when there is something to lose; the test then stops the server, and starts it when we have
  // said something to nobody.
  async restarted(context) {
    const page = await enter(context, "kitchen", "Ada");
    await say(page, "before");
    await waitForLine(page, "before");
    console.log("said before");
    await page.locator("#state", { hasText: "Connection lost" }).waitFor();
    await say(page, "while it was away");
    console.log("said while it was away");
    await waitForConnection(page);
    await waitForLine(page, "while it was away");
    consoleErrors.splice(0); // Chromium itself reports each attempt that failed
    return { lines: await readLines(page) };
  },

  async brokerRestarted(context) {
    const pages = [await enter(context, "kitchen", "Ada"), await enter(context, "kitchen", "Grace")];
    const seen = (text) => Promise.all(pages.map((page) => waitForLine(page, text)));
    await say(pages[0], "before");
    await seen("before");
    console.log("said before");
    await goOn(); // the test kills the broker first
    await say(pages[0], "while it was away");
    console.log("said while it was away");
    await seen("while it was away");
    await say(pages[1], "after");
    await seen("after");
    return { first: await readLines(pages[0]), second: await readLines(pages[1]) };
  },

  // Somebody leaves while the broker is away.
  async brokerAway(context) {
    const pages = [];
    for (const name of ["Ada", "Eve", "Grace"]) pages.push(await enter(context, "kitchen", name));
    const [first, second, third] = pages;
    for (const page of pages) await waitForPeople(page, ["Ada", "Eve", "Grace"]);
    console.log("all are there");
    await goOn();
    await second.evaluate(() => new Promise((resolve) => { socket.onclose = resolve; socket.close(); }));
    console.log("Eve has left"); // and the server has answered that
    for (const page of [first, third]) await waitForPeople(page, ["Ada", "Grace"]);
    return { lines: await readLines(first) };
  },

  async refused(context) {
    const page = await open(context);
    await page.getByLabel("Room", { exact: true }).fill("*");
    await page.getByLabel("Your name").fill("Ada");
    await page.getByRole("button", { name: "Join" }).click();
    await page.locator("#state.bad").waitFor();
    return { state: await page.locator("#state").textContent() };
  },

  async keyboard(context) {
    const page = await open(context);
    const focused = () => page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return { id: element.id, outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
    });
    const steps = [];
    for (const text of ["kitchen", "Ada"]) {
      await page.keyboard.press("Tab");
      steps.push(await focused());
      await page.keyboard.press("Control+A");
      await page.keyboard.type(text);
    }
    await page.keyboard.press("Enter");
    await waitForConnection(page);
    steps.push(await focused()); // where one says something
    await page.keyboard.type("typed");
    await page.keyboard.press("Enter");
    await waitForLine(page, "Ada typed");
    await page.keyboard.press("Shift+Tab");
    steps.push(await focused());
    return { steps, log: await page.getByRole("log").getAttribute("aria-label") };
  },

  screenshots() {
    return shots(async (context, name) => {
      const page = await enter(context, name, "Ada Lovelace");
      const other = await enter(context, name, "Grace");
      await waitForPeople(page, ["Ada Lovelace", "Grace"]);
      await say(page, "Has anybody seen the cat?");
      await waitForLine(other, "the cat");
      await say(other, "It sleeps on the printer. " + "a-word-without-any-place-to-break-".repeat(4));
      await waitForLine(page, "It sleeps");
      await page.bringToFront();
      return page;
    });
  },
};

await play(scenarios);
