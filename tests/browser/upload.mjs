// Drives the page of the uploads in Chromium as its users would; see chromium.mjs.

import { createHash } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { open, output, play, shots } from "./chromium.mjs";

const KIB = 2 ** 10, MIB = 2 ** 20;

// Writes a file of as many bytes, no two parts of which are alike.
async function write(name, size) {
  const file = path.join(output, name);
  await writeFile(file, Uint32Array.from({ length: Math.ceil(size / 4) }, (_, index) => index * 2654435761));
  await truncate(file, size);
  return file;
}

const choose = (page, ...files) => page.getByLabel("Choose files").setInputFiles(files);

const item = (page, name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) });

const press = (page, action, name) => page.getByRole("button", { name: `${action}: ${name}` }).click();

async function waitFor(page, name, result) {
  await item(page, name).locator(".figures", { hasText: result }).waitFor();
  return item(page, name).locator(".figures").textContent();
}

// Lets the connections that are opened from now on say nothing to the server, until it is called.
async function hold(page) {
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  await page.routeWebSocket(/\/upload/, async (socket) => {
    const server = socket.connectToServer();
    socket.onMessage(async (message) => {
      await released;
      server.send(message);
    });
  });
  return release;
}

const scenarios = {
  async files(context) {
    const page = await open(context);
    const sizes = { "empty": 0, "a few": 55, "a block": 64, "more": 256 * KIB + 57, "many": 20 * MIB + 1 };
    const names = Object.keys(sizes);
    await choose(page, ...await Promise.all(names.map((name) => write(name, sizes[name]))));
    const results = await Promise.all(names.map((name) => waitFor(page, name, /Arrived|Failed|Damaged/)));
    return { results, names, state: await page.locator("#state").textContent() };
  },

  async cancelled(context) {
    const page = await open(context);
    const release = await hold(page);
    await choose(page, await write("first", 3 * MIB), await write("second", MIB), await write("third", MIB));
    await waitFor(page, "first", "Connecting");
    const third = await waitFor(page, "third", "Waiting");
    await press(page, "Cancel", "first");
    await waitFor(page, "third", "Connecting");
    await press(page, "Cancel", "third");
    release();
    await waitFor(page, "second", "Arrived");
    const cancelled = [await waitFor(page, "first", "Cancelled"), await waitFor(page, "third", "Cancelled")];
    await press(page, "Try again", "first");
    await waitFor(page, "first", "Arrived");
    return { third, cancelled, state: await page.locator("#state").textContent() };
  },

  async refused(context) {
    const page = await open(context);
    const file = await write("huge", 0);
    await truncate(file, 2 ** 30 + 1); // sparse
    await choose(page, file);
    return { result: await waitFor(page, "huge", "Failed") };
  },

  screenshots() {
    return shots(async (context, view) => {
      const page = await open(context);
      await choose(page, await write("Holiday pictures.zip", 3 * MIB));
      await waitFor(page, "Holiday pictures.zip", "Arrived");
      const huge = await write("Backup.img", 0);
      await truncate(huge, 2 ** 30 + 1);
      await choose(page, huge);
      await waitFor(page, "Backup.img", "Failed");
      const name = "a-name-without-any-place-to-break-".repeat(3) + ".tar";
      await page.evaluate(() => { send = async () => {}; }); // one that does not end
      await choose(page, await write(name, 5 * MIB), await write("Letter.odt", 31 * KIB), await write("Thesis.pdf", 2 * MIB));
      await page.evaluate(() => uploads.slice(2, 4).forEach((upload) => hear(upload, { received: upload.file.size * 0.6 })));
      await waitFor(page, "Thesis.pdf", "Waiting");
      return page;
    });
  },
};

await play(scenarios);
