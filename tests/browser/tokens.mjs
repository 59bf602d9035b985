// Drives the page of the tokens in Chromium as its users would; see chromium.mjs.

import { open, play, shots, sockets } from "./chromium.mjs";

async function enter(context) {
  const page = await open(context);
  await page.locator("#state.good").waitFor();
  return page;
}

async function ask(page, prompt) {
  await page.getByLabel("Prompt").fill(prompt);
  await page.keyboard.press("Enter");
}

const waitForTokens = (page, count) => page.waitForFunction((count) => answers.at(-1)?.count >= count, count);

const waitForEnd = (page) => page.waitForFunction(() => !answers.length);

const read = (page, what) => page.locator(`#log .${what}`).allTextContents();

const scenarios = {
  async conversation(context) {
    const page = await enter(context);
    await ask(page, "What is <b>backpressure</b>?");
    await waitForTokens(page, 5);
    await page.getByRole("button", { name: "Stop" }).click();
    await waitForEnd(page);
    const focused = await page.evaluate(() => document.activeElement.id);
    await ask(page, "And cancellation?");
    await waitForTokens(page, 5);
    await ask(page, "Or limits?"); // while the other is being answered
    await waitForTokens(page, 5);
    await page.keyboard.press("Escape");
    await waitForEnd(page);
    const received = sockets[0].received.map((message) => JSON.parse(message));
    return {
      focused,
      prompts: await read(page, "prompt"),
      answers: await read(page, "answer"),
      figures: await read(page, "figures"),
      tokens: received.map(({ token, end }) => token ?? `\n${end}\n`).join(""),
      stopIsShown: await page.getByRole("button", { name: "Stop" }).isVisible(),
      busy: await page.locator("[aria-busy]").count(),
    };
  },

  async complete(context) {
    const page = await enter(context);
    await page.getByRole("button", { name: "What is backpressure?" }).click();
    await waitForEnd(page);
    return { answers: await read(page, "answer"), figures: await read(page, "figures") };
  },

  screenshots() {
    return shots(async (context) => {
      const page = await enter(context);
      await ask(page, "What is backpressure?");
      await waitForTokens(page, 25);
      await page.keyboard.press("Escape");
      await waitForEnd(page);
      await ask(page, "Why has a queue a limit? " + "Without-any-place-to-break-".repeat(4));
      await waitForTokens(page, 20);
      return page;
    });
  },
};

await play(scenarios);
