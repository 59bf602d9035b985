// Drives the page of the game in Chromium as its users would; see chromium.mjs.

import { open, play, shots } from "./chromium.mjs";

async function enter(context) {
  const page = await open(context);
  await page.locator("#state.good").waitFor();
  await page.waitForFunction(() => shown.has(me));
  return page;
}

const place = (page, number) => page.evaluate((number) => shown.get(number ?? me), number);

const scenarios = {
  async steer(context) {
    const first = await enter(context);
    const second = await enter(context);
    const number = await first.evaluate(() => me);
    await first.bringToFront();
    const from = await place(first);
    const [key, way] = from.x < 800 ? ["ArrowRight", 1] : ["ArrowLeft", -1];
    await first.keyboard.down(key);
    await first.waitForFunction(([x, way]) => (shown.get(me).x - x) * way > 200, [from.x, way]);
    await first.keyboard.up(key);
    const to = await place(first);
    await second.bringToFront();
    await second.waitForFunction(([number, x, way]) => (shown.get(number).x - x) * way > 200, [number, from.x, way]);
    // Press where it is on the screen, and the ship goes there.
    const { x, y, width, height } = await second.locator("#arena").boundingBox();
    await second.mouse.move(x + width / 2, y + height / 2);
    await second.mouse.down();
    await second.waitForFunction(() => Math.hypot(shown.get(me).x - 800, shown.get(me).y - 500) < 60);
    await second.mouse.up();
    await second.waitForFunction(() => Number(byId("ping").textContent) > 0 && Number(byId("rate").textContent) > 0);
    const players = await second.locator("#players").textContent();
    await first.close();
    await second.waitForFunction(() => shown.size === 1);
    return { sideways: Math.abs(to.y - from.y), players, gems: await second.evaluate(() => states.at(-1).gems.length) };
  },

  // Shows with unknown gaps between the ticks what it would show without: it goes evenly.
  async smooth(context) {
    const page = await enter(context);
    return page.evaluate(() => {
      states = [100, 101, 105, 106].map((tick) => ({ tick, ships: [], gems: [] }));
      return [99, 100.5, 103, 105.5, 110].map((tick) => {
        const { before, after, far } = between(tick);
        return before.tick + (after.tick - before.tick) * far;
      });
    }).then((shown) => ({ shown }));
  },

  screenshots() {
    return shots(async (context) => {
      const page = await enter(context);
      await page.evaluate(() => { // others, of whom no page is needed
        for (const [x, y] of [[1, 0], [0, 1]]) {
          const other = new WebSocket(socket.url);
          other.onopen = () => other.send(JSON.stringify({ kind: "steer", x, y }));
        }
      });
      await page.waitForFunction(() => shown.size === 3);
      await page.keyboard.down("ArrowUp");
      await page.keyboard.down("ArrowLeft");
      await page.waitForFunction(() => trails.get(me)?.places.length > 20 && byId("rate").textContent > 0 && byId("ping").textContent > 0);
      return page;
    });
  },
};

await play(scenarios);
