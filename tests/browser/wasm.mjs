// SPDX-License-Identifier: Apache-2.0
// wasm.mjs SITE PICTURES - the page of examples/wasm: each picture of SITE/pictures is chosen as a file, and the answer read. A
// screenshot of the last goes to the folder PICTURES.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { Browser, serve } from "./driver.mjs";

const [site, pictures] = process.argv.slice(2);
const server = await serve(site);
const browser = await Browser.open();
try {
  await browser.look(800, 700, "light");
  await browser.go(server.url);
  await browser.wait(`return document.querySelectorAll("#samples img").length > 0`, "the page's own pictures");
  const files = readdirSync(join(site, "pictures")).filter(name => name.endsWith(".png"));
  assert.equal(files.length, 10);
  for (const file of files) {
    await browser.ask(`document.querySelector("#answers").replaceChildren(); document.querySelector("#file").value = ""`);
    await browser.type("#file", resolve(site, "pictures", file));
    await browser.wait(`return document.querySelectorAll("#answers tr").length > 0`, file);
    const best = await browser.ask(`return document.querySelector("#answers tr").innerText`);
    assert.match(best, new RegExp(file.replace(".png", "")), `${file} is taken for ${best}`);
    assert.match(await browser.ask(`return document.querySelector("#time").textContent`), /ms/);
  }
  await browser.screenshot(join(pictures, "wasm.png"));
  assert.equal(await browser.ask(`return document.querySelector("#problem").textContent`), "");
  assert.deepEqual(await browser.complaints(), []);
} finally {
  await browser.close();
  server.close();
}
console.log("ok   the page of examples/wasm: a file chosen, the answer read");
