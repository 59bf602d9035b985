// Drives the poll that is written with FastAPI, and served by uvicorn with our class; see chromium.mjs.

import { open, play, shots, sockets } from "./chromium.mjs";

async function poll(context) {
  const page = await open(context);
  await page.locator("#state", { hasText: "Connected" }).waitFor();
  await page.getByRole("button", { name: "Fig" }).waitFor();
  return page;
}

const vote = (page, name) => page.getByRole("button", { name }).click();
const votes = (page, text) => page.locator("#sum", { hasText: text }).waitFor();

const scenarios = {
  async vote(context) {
    const one = await poll(context), two = await poll(context);
    await vote(one, "Fig");
    await votes(two, "1 vote");
    await vote(two, "Pear");
    await vote(two, "Fig");
    for (const page of [one, two]) await votes(page, "3 votes");
    const late = await poll(context);
    await votes(late, "3 votes");
    return {
      texts: await late.locator("button").allTextContents(),
      widths: await late.locator("button").evaluateAll((all) => all.map((each) => each.style.getPropertyValue("--share"))),
      paths: sockets.map(({ path }) => path),
    };
  },

  screenshots() {
    return shots(async (context) => {
      const page = await poll(context);
      for (const name of ["Fig", "Fig", "Pear"]) await vote(page, name);
      await page.locator("button", { hasText: /Pear[1-9]/ }).waitFor();
      return page;
    });
  },
};

await play(scenarios);
