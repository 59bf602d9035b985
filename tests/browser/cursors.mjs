// Drives the page of the cursors in Chromium as its users would; see chromium.mjs.

import { open, play, shots } from "./chromium.mjs";

async function enter(context, others) {
  const page = await open(context);
  await page.locator("#state", { hasText: others }).waitFor();
  return page;
}

// Points at a place on the board, from 0 to 1 in both directions.
async function point(page, x, y) {
  const { x: left, y: top, width, height } = await page.locator("#board").boundingBox();
  await page.mouse.move(left + x * width, top + y * height);
}

const others = (page) => page.locator(".cursor").filter({ hasNotText: "You" });

async function waitForCursor(page, x, y) {
  await page.waitForFunction(([x, y]) => [...cursors.entries()].some(
    ([id, cursor]) => id !== me && Math.abs(cursor.x - x) < 0.01 && Math.abs(cursor.y - y) < 0.01,
  ), [x, y]);
}

const scenarios = {
  async move(context) {
    const first = await enter(context, "nobody else");
    await point(first, 0.25, 0.75);
    const second = await enter(context, "1 other");
    await waitForCursor(second, 0.25, 0.75); // though it does not move
    await point(first, 0.6, 0.1);
    await waitForCursor(second, 0.6, 0.1);
    await second.bringToFront();
    await point(second, 0.9, 0.9);
    await waitForCursor(first, 0.9, 0.9);
    const box = await second.locator("#board").boundingBox();
    const shown = await others(second).boundingBox();
    const own = await second.locator(".cursor", { hasText: "You" }).count();
    await first.close();
    await second.locator("#state", { hasText: "nobody else" }).waitFor();
    return {
      shown: [(shown.x - box.x) / box.width, (shown.y - box.y) / box.height],
      own,
      left: await others(second).count(),
    };
  },

  async keyboard(context) {
    const first = await enter(context, "nobody else");
    const second = await enter(context, "1 other");
    await second.keyboard.press("Tab");
    for (const key of ["ArrowLeft", "ArrowLeft", "ArrowUp"]) {
      await second.keyboard.press(key);
    }
    await waitForCursor(first, 0.46, 0.48);
    return { focused: await second.evaluate(() => document.activeElement.id) };
  },

  screenshots() {
    return shots(async (context) => {
      const page = await enter(context, "nobody else");
      for (const [x, y] of [[0.2, 0.3], [0.6, 0.2], [0.5, 0.7]]) {
        const other = await open(context);
        await other.locator("#state.good").waitFor();
        await point(other, x, y);
        await waitForCursor(page, x, y);
      }
      await page.bringToFront();
      await point(page, 0.3, 0.55);
      await page.locator("#state", { hasText: "3 others" }).waitFor();
      return page;
    });
  },
};

await play(scenarios);
