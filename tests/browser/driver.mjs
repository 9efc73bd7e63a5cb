// SPDX-License-Identifier: Apache-2.0
// driver.mjs - a headless Chromium by the WebDriver protocol (W3C, "WebDriver"), spoken to chromedriver over HTTP.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { tmpdir } from "node:os";

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
const QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export class Browser {
  // A browser with a profile of its own; close() ends both.
  static async open() {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), "browser-"));
    browser.driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise((found, failed) => {
      let said = "";
      browser.driver.on("error", failed);
      browser.driver.on("exit", code => failed(new Error(`chromedriver ended with ${code}: ${said}`)));
      browser.driver.stdout.on("data", text => {
        const at = /successfully on port (\d+)/.exec(said += text);
        if (at) found(at[1]);
      });
    });
    browser.root = `http://127.0.0.1:${port}`;
    const chrome = { args: [...QUIET, `--user-data-dir=${browser.profile}`] };
    const capabilities = { alwaysMatch: { browserName: "chrome", "goog:chromeOptions": chrome, "goog:loggingPrefs": { browser: "ALL" } } };
    const { sessionId } = await browser.call("POST", "/session", { capabilities });
    browser.root += `/session/${sessionId}`;
    return browser;
  }
  async call(method, path, body) {
    const answer = await fetch(this.root + path, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${value.message}`);
    return value;
  }
  go(url) { return this.call("POST", "/url", { url }); }
  // The value of a function's body in the page.
  ask(script, ...args) { return this.call("POST", "/execute/sync", { script, args }); }
  devtools(cmd, params) { return this.call("POST", "/goog/cdp/execute", { cmd, params }); }
  // A screen of this many CSS pixels, dark or light.
  async look(width, height, scheme) {
    await this.devtools("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.devtools("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }
  async type(selector, text) {
    const element = await this.call("POST", "/element", { using: "css selector", value: selector });
    await this.call("POST", `/element/${element[ELEMENT]}/value`, { text });
  }
  async wait(script, what, seconds = 20) {
    for (const end = Date.now() + seconds * 1e3; Date.now() < end; await new Promise(done => setTimeout(done, 50)))
      if (await this.ask(script)) return;
    throw new Error(`${what}: not within ${seconds} s`);
  }
  async screenshot(file) {
    const png = Buffer.from(await this.call("GET", "/screenshot"), "base64");
    writeFileSync(file, png);
    return png;
  }
  // What the page complained of.
  async complaints() {
    const log = await this.call("POST", "/se/log", { type: "browser" });
    return log.filter(line => line.level === "SEVERE" && !/favicon/.test(line.message)).map(line => line.message);
  }
  async close() {
    await this.call("DELETE", "").catch(() => {});
    this.driver.removeAllListeners("exit");
    this.driver.kill();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

// Serves a folder on this machine alone; gives its address and what ends it.
export function serve(folder) {
  const types = { ".html": "text/html", ".mjs": "text/javascript", ".wasm": "application/wasm", ".png": "image/png" };
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    try {
      const file = readFileSync(join(folder, path === "/" ? "index.html" : path));
      response.writeHead(200, { "content-type": types[extname(path)] ?? (path === "/" ? "text/html" : "application/octet-stream") }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise(done => server.listen(0, "127.0.0.1", () => done({ url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() })));
}
