// Drives the page of the whiteboard in Chromium as its users would; see chromium.mjs.

import { open, play, shots } from "./chromium.mjs";

async function enter(context) {
  const page = await open(context);
  await page.locator("#state.good").waitFor();
  return page;
}

const choose = (page, label) => page.getByRole("radio", { name: label }).check({ force: true });

// Where points of the board, from 0 to 1 in both directions, are on the page.
async function locate(page, points) {
  const { x, y, width, height } = await page.locator("#board").boundingBox();
  return points.map(([across, down]) => [x + across * width, y + down * height]);
}

async function draw(page, points, isDone = true) {
  const [first, ...others] = await locate(page, points);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 4 });
  if (isDone) await page.mouse.up();
}

const waitForStrokes = (page, count) => page.waitForFunction((count) => strokes.size === count && !unsaid.size, count);

// What is on the board, a stroke a line; the points in tenths of its size, without those in between.
const read = (page) => page.evaluate(() => [...strokes.values()].map(({ color, pen, points }) => {
  const [[x, y], [endX, endY]] = [points[0], points.at(-1)];
  const tenths = [x / WIDTH, y / HEIGHT, endX / WIDTH, endY / HEIGHT].map((each) => Math.round(each * 10));
  return [color, pen, ...tenths];
}));

// The color that is seen at a point of the board, of both layers.
const look = (page, across, down) => page.evaluate(([across, down]) => [below, above].map((context) => {
  const { width, height } = context.canvas;
  return [...context.getImageData(width * across, height * down, 1, 1).data].join();
}), [across, down]);

const scenarios = {
  async shared(context) {
    const first = await enter(context);
    await choose(first, "Red");
    await draw(first, [[0.1, 0.2], [0.9, 0.2]]);
    await choose(first, "Blue");
    await choose(first, "Broad");
    await draw(first, [[0.5, 0.8]]);
    await waitForStrokes(first, 2);
    const second = await enter(context); // a late one
    await waitForStrokes(second, 2);
    await second.bringToFront();
    const late = { strokes: await read(second), red: await look(second, 0.5, 0.2) };
    await draw(second, [[0.2, 0.4], [0.8, 0.4]], false);
    await first.waitForFunction(() => pens.size === 1); // not done yet, but seen
    await second.mouse.up();
    await waitForStrokes(first, 3);
    await second.keyboard.press("Control+z"); // its own, though another may be later
    await waitForStrokes(first, 2);
    await second.keyboard.press("Control+z"); // it has no more
    await first.bringToFront();
    await first.getByRole("button", { name: "Undo" }).click();
    await waitForStrokes(second, 1);
    const undone = await read(second);
    await first.reload();
    await first.locator("#state.good").waitFor();
    await first.getByRole("button", { name: "Undo" }).click(); // still its own
    await waitForStrokes(second, 0);
    await draw(first, [[0.5, 0.5], [0.6, 0.5]]);
    await waitForStrokes(second, 1);
    await second.bringToFront();
    await second.getByRole("button", { name: "Clear" }).click();
    await second.getByRole("button", { name: "For all?" }).click();
    await waitForStrokes(first, 0);
    await first.waitForFunction(() => pens.size === 0);
    return { late, undone, gone: await look(first, 0.55, 0.5) };
  },

  async touch(context) {
    const page = await enter(context);
    const session = await context.newCDPSession(page);
    const [a, b, c] = (await locate(page, [[0.2, 0.2], [0.8, 0.8], [0.2, 0.8]])).map(([x, y], id) => ({ x, y, id }));
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [a, c] });
    await session.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: [{ ...b, id: 0 }, { ...c, x: c.x + 50 }] });
    await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await waitForStrokes(page, 2);
    return { strokes: (await read(page)).sort() };
  },

  screenshots() {
    return shots(async (context) => {
      const page = await enter(context);
      await page.getByRole("button", { name: "Clear" }).click();
      await page.getByRole("button", { name: "For all?" }).click();
      await waitForStrokes(page, 0);
      await choose(page, "Violet");
      await choose(page, "Broad");
      await page.evaluate((strokes) => strokes.forEach(send), Array.from({ length: 6 }, (_, color) => ({
        kind: "stroke",
        stroke: color,
        color,
        pen: color % 3,
        points: Array.from({ length: 90 }, (_, i) => [
          320 + i * 28, Math.round(300 + color * 280 + 160 * Math.sin(i / 12 + color)),
        ]),
      })));
      await waitForStrokes(page, 6);
      return page;
    });
  },
};

await play(scenarios);
