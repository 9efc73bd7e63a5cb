// SPDX-License-Identifier: Apache-2.0
// node.mjs - the page's module and code under node: node node.mjs FOLDER PICTURE.png...   (FOLDER: what build.sh made)
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";
import { Classifier, lightOnDark } from "./classifier.mjs";

export async function open(folder) {
  const module = await WebAssembly.compile(readFileSync(join(folder, "digits.wasm")));
  return Classifier.create(module, () => readFileSync(join(folder, "digits.weights")));
}

// PNG (ISO/IEC 15948) of 8 bits a sample, grey or RGB, with or without alpha, not interlaced.
export function readPng(path) {
  const file = readFileSync(path);
  const chunks = [];
  let width, height, samples;
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const data = file.subarray(at + 8, at + 8 + file.readUInt32BE(at));
    const type = file.toString("latin1", at + 4, at + 8);
    if (type === "IDAT") chunks.push(data);
    if (type !== "IHDR") continue;
    [width, height, samples] = [data.readUInt32BE(0), data.readUInt32BE(4), { 0: 1, 2: 3, 4: 2, 6: 4 }[data[9]]];
    if (data[8] !== 8 || data[12] !== 0) samples = undefined;
  }
  if (!samples) throw new Error(`${path}: not a PNG of 8 bits a sample`);
  const bytes = unfilter(inflateSync(Buffer.concat(chunks)), width * samples, height, samples);
  const data = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) data[4 * i + c] = bytes[i * samples + (samples > 2 ? c : 0)];
  return { width, height, data };
}

// Every row begins with the number of its filter, which predicts a byte from those to the left and above.
function unfilter(raw, row, height, samples) {
  const out = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const at = y * row + x;
      const left = x >= samples ? out[at - samples] : 0;
      const up = y > 0 ? out[at - row] : 0;
      const corner = x >= samples && y > 0 ? out[at - row - samples] : 0;
      const guess = [0, left, up, (left + up) >> 1, nearest(left, up, corner)][filter];
      out[at] = raw[y * (row + 1) + 1 + x] + guess;
    }
  }
  return out;
}

// Paeth's predictor
function nearest(left, up, corner) {
  const at = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(at - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, ...pictures] = process.argv.slice(2);
  const classifier = await open(folder);
  for (const picture of pictures) {
    const [best] = classifier.classify(lightOnDark(readPng(picture)));
    console.log(`${basename(picture)}: ${best.label}, ${(100 * best.probability).toFixed(2)} %`);
  }
}
