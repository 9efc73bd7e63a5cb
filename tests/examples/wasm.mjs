// SPDX-License-Identifier: Apache-2.0
// wasm.mjs SITE EXAMPLES - what examples/wasm computes under node, against the recorded labels and ONNX Runtime's answers.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [site, examples] = process.argv.slice(2);
const { open, readPng } = await import(join(examples, "wasm/node.mjs"));
const { Classifier, DIGITS, centre, inkBox, lightOnDark } = await import(join(examples, "wasm/classifier.mjs"));

// The data behind an .npy file's head.
function npy(name, Type) {
  const file = readFileSync(join(examples, "digits", name));
  const data = file.subarray(10 + file.readUInt16LE(8));
  return new Type(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
}

const images = npy("test_images.npy", Float32Array);
const labels = npy("test_labels.npy", BigInt64Array);
const wanted = npy("test_logits.npy", Float32Array);
const classifier = await open(site);
const { input, logits, model } = classifier;
const far = (a, b) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

let right = 0;
let off = 0;
for (let i = 0; i < labels.length; i++) {
  input.set(images.subarray(i * input.length, (i + 1) * input.length));
  assert.equal(model.run(), 0);
  off = Math.max(off, far(logits, wanted.subarray(i * logits.length, (i + 1) * logits.length)));
  if (logits.indexOf(Math.max(...logits)) === Number(labels[i])) right++;
}
const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
assert.ok(off <= 1e-4 * scale, `off by ${off}, of ${scale}`);
assert.ok(right >= 0.97 * labels.length, `${right} of ${labels.length}`);

// The pictures are the first held-out digit of each kind, in 8 bits: half a step of 1/255 is at most 1/255 of the input.
const box = { x: 0, y: 0, size: 128 };
for (const [digit, label] of DIGITS.labels.entries()) {
  const picture = readPng(join(site, "pictures", `${label}.png`));
  const at = labels.indexOf(BigInt(digit)) * input.length;
  const answers = classifier.classify(picture);
  assert.equal(answers[0].label, label);
  assert.equal(answers.length, DIGITS.labels.length);
  assert.ok(Math.abs(answers.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6);
  assert.ok(far(input, images.subarray(at, at + input.length)) <= 1.001 / 255);
  // Dark on light it is turned round first.
  const negative = { ...picture, data: picture.data.map((value, i) => (i % 4 === 3 ? value : 255 - value)) };
  assert.deepEqual(classifier.classify(lightOnDark(negative), box), answers);
}

// A wide picture's middle; a box on a dark ground around what is light, and none without.
assert.deepEqual(centre({ width: 30, height: 10 }), { x: 10, y: 0, size: 10 });
const dark = { width: 20, height: 10, data: new Uint8ClampedArray(800) };
assert.equal(inkBox(dark), null);
for (const [x, y] of [[5, 2], [7, 7]]) dark.data.fill(255, (y * 20 + x) * 4, (y * 20 + x) * 4 + 4);
assert.deepEqual(inkBox(dark), { x: 3.5, y: 2, size: 6 });

// Weights that are cut short, and another model's.
const module = await WebAssembly.compile(readFileSync(join(site, "digits.wasm")));
const weights = readFileSync(join(site, "digits.weights"));
await assert.rejects(Classifier.create(module, () => weights.subarray(1)), /bytes of weights/);
const other = Uint8Array.from(weights);
other[16] ^= 1;
await assert.rejects(Classifier.create(module, () => other), /not this model's/);
let asked = "";
await Classifier.create(module, (digest) => ((asked = digest), weights));
assert.match(asked, /^[0-9a-f]{32}$/);

for (const file of ["index.html", "page.mjs", "classifier.mjs"]) assert.ok(existsSync(join(site, file)));
console.log(`${right} of ${labels.length} right, off by ${(off / scale).toExponential(1)}; the ten pictures too`);
