// SPDX-License-Identifier: Apache-2.0
// report.mjs PAGE.html PICTURES - opens what --report=FILE.html wrote: everything is drawn, nothing is fetched, it fits a phone, in light
// and in dark. Screenshots go to the folder PICTURES.
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Browser } from "./driver.mjs";

const [page, pictures] = process.argv.slice(2);
const browser = await Browser.open();
try {
  for (const [name, width, height] of [["desk", 1100, 1400], ["phone", 390, 844]]) {
    const grounds = [];
    for (const scheme of ["light", "dark"]) {
      await browser.look(width, height, scheme);
      await browser.go(pathToFileURL(resolve(page)).href);
      await browser.screenshot(join(pictures, `report-${name}-${scheme}.png`));
      const seen = await browser.ask(`
        const count = selector => document.querySelectorAll(selector).length;
        return { sections: [...document.querySelectorAll("h2")].map(h => h.textContent), rects: count("rect"), circles: count("circle"), rows: count("tbody tr"),
                 wide: document.scrollingElement.scrollWidth - innerWidth, fetched: performance.getEntriesByType("resource").length,
                 small: [...document.querySelectorAll("p, td")].filter(e => parseFloat(getComputedStyle(e).fontSize) < 12).length,
                 ground: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(document.body).color,
                 work: data.work.length, buffers: data.buffers.length, blank: document.body.innerText.match(/NaN|undefined|Infinity/) };`);
      assert.deepEqual(seen.sections, ["What was recognised", "The model's blocks", "Where the time goes", "Roofline", "One run on a timeline", "The arena", "Precision"]);
      assert.equal(seen.rects, seen.work + seen.buffers);
      assert.ok(seen.work > 0 && seen.buffers > 0 && seen.circles > 0 && seen.rows > 10);
      assert.ok(seen.wide <= 0, `${name}: the page is ${seen.wide} pixels wider than the screen`);
      assert.equal(seen.fetched, 0);
      assert.equal(seen.small, 0);
      assert.equal(seen.blank, null);
      assert.notEqual(seen.ground, seen.ink);
      grounds.push(seen.ground);
    }
    assert.notEqual(grounds[0], grounds[1]);
  }
  assert.deepEqual(await browser.complaints(), []);
} finally {
  await browser.close();
}
console.log("ok   the report's page, on a desk and a phone, in light and dark");
