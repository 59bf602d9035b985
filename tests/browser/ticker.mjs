// Drives the page of the ticker in Chromium as its users would; see chromium.mjs.

import { open, play, shots } from "./chromium.mjs";

async function watchQuotes(context) {
  const page = await open(context);
  await page.waitForFunction(() => quotes.size === 12 && totals.received > 200);
  return page;
}

const newest = (page) => page.evaluate(() => Math.min(...[...quotes.values()].map(({ number }) => number)));

async function freeze(page) {
  await page.getByRole("button", { name: "Freeze" }).click();
  await page.locator("#result", { hasText: "newest again" }).waitFor();
}

const scenarios = {
  async freeze(context) {
    const slow = await watchQuotes(context);
    const readSkipped = () => slow.evaluate(() => [...quotes.values()].map(({ skipped }) => skipped));
    const before = await readSkipped();
    const first = await newest(slow);
    // A busy machine may publish less in one freeze than is held on the way.
    for (let i = 0, isSeen = false; i < 10 && !isSeen; i++) {
      await freeze(slow);
      const each = await readSkipped();
      isSeen = each.every((skipped, index) => skipped > before[index]) && await newest(slow) > first + 100;
    }
    const fast = await watchQuotes(context);
    const number = await newest(fast);
    await slow.waitForFunction((number) => [...quotes.values()].every((each) => each.number >= number), number);
    await slow.bringToFront();
    const seen = await slow.evaluate(() => ({ totals, each: [...quotes.values()].map(({ skipped }) => skipped) }));
    return { ...seen, first, number, before, result: await slow.locator("#result").textContent() };
  },

  screenshots() {
    return shots(async (context) => {
      const page = await watchQuotes(context);
      await freeze(page);
      return page;
    });
  },
};

await play(scenarios);
