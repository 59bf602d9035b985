// Drives the page of the dashboard in Chromium as its users would; see chromium.mjs.

import { open, play, shots } from "./chromium.mjs";

async function enter(context, count) {
  const page = await open(context);
  await page.locator("#state.good").waitFor();
  await page.waitForFunction((count) => samples.length >= count, count);
  return page;
}

const chart = (page, title) => page.locator("section").filter({ has: page.getByRole("heading", { name: title }) });

const scenarios = {
  async live(context) {
    const first = await enter(context, 3);
    const began = await first.evaluate(() => samples[0].at);
    const second = await enter(context, 3); // at once: those from before it was there
    const history = await second.evaluate((began) => samples[0].at === began && samples.every(
      ({ at }, index) => !index || at > samples[index - 1].at,
    ), began);
    await second.waitForFunction(() => samples.at(-1).connections === 2);
    await second.bringToFront();
    await second.getByRole("button", { name: "Make some traffic" }).click();
    await second.waitForFunction(() => samples.at(-1).received > 10);
    await second.getByRole("button", { name: "Make some traffic" }).click();
    const connections = await chart(second, "Connections").locator(".now span").textContent();
    const received = await chart(second, "Messages received").getByRole("img").getAttribute("aria-label");
    const plot = chart(second, "CPU").locator(".plot");
    const { x, y, width, height } = await plot.boundingBox();
    await second.mouse.move(x + width / 2, y + height / 2);
    await plot.locator(".cross").waitFor();
    return { history, connections, received, crosses: await second.locator(".cross:visible").count() };
  },

  screenshots() {
    return shots(async (context) => {
      const page = await enter(context, 2);
      await page.evaluate(() => { // five minutes that nobody has to wait for
        const now = samples.at(-1).at, wave = (index, length) => 1 + Math.sin(index / length);
        samples = Array.from({ length: 600 }, (_, index) => ({
          at: now - (600 - index) / 2,
          cpu: 4 + 9 * wave(index, 40) + (index * 7919 % 13) / 4,
          lag: 0.4 + (index % 97 === 5 ? 11 : (index * 31 % 17) / 20),
          load: 0.6 + wave(index, 120),
          connections: 12 + Math.round(6 * wave(index, 60)),
          received: 900 * wave(index, 50) + (index * 7919 % 200),
          sent: 30 + 14 * wave(index, 60),
        })).filter((_, index) => index < 330 || index > 360);
        socket.onmessage = null;
        drawSoon();
      });
      const { x, y, width } = await chart(page, "CPU").locator(".plot").boundingBox();
      await page.mouse.move(x + width * 0.7, y + 40);
      await chart(page, "CPU").locator(".cross").waitFor();
      return page;
    });
  },
};

await play(scenarios);
