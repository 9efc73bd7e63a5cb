// SPDX-License-Identifier: Apache-2.0
// cross.mjs - runs cross.c's WebAssembly module and compares as its main does.
// node cross.mjs MODULE.wasm INPUT.npy WANTED.npy RTOL [WEIGHTS | - [RUNS]]; RUNS: prints the time of the fastest, of both ways.
import { readFileSync } from "node:fs";

const [path, inputPath, wantedPath, tolerance, weightsPath, runs] = process.argv.slice(2);

// The bytes behind an .npy file's head.
function npy(name) {
  const file = readFileSync(name);
  return file.subarray(10 + file.readUInt16LE(8));
}

const { instance } = await WebAssembly.instantiate(readFileSync(path));
const model = instance.exports;
const memory = () => new Uint8Array(model.memory.buffer);
const input = npy(inputPath);
const bytes = model.input_bytes();
if (input.length < bytes) throw new Error(`not the input: ${inputPath}`);
memory().set(input.subarray(0, bytes), model.input_at());
if (model.weights_bytes() > 0) memory().set(readFileSync(weightsPath), model.weights_at());
const status = model.run();
const wantedBytes = npy(wantedPath).subarray(0, model.output_bytes());
const count = wantedBytes.length / 4;
if (status !== 0 || count === 0) {
  console.log(`status ${status}, ${count} values wanted`);
  process.exit(1);
}
const wanted = new Float32Array(new Uint8Array(wantedBytes).buffer);
const got = new Float32Array(model.memory.buffer, model.output_at(), count);
const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
let off = 0;
for (let i = 0; i < count; i++) off = Number.isFinite(got[i]) ? Math.max(off, Math.abs(got[i] - wanted[i])) : Infinity;
console.log(`off by ${(off / scale).toExponential(1)} of the largest`);
if (!(off <= tolerance * scale)) process.exit(1);
let fastest = Infinity;
for (let i = 0; i < (runs ?? 0); i++) {
  const begun = performance.now();
  model.run();
  fastest = Math.min(fastest, performance.now() - begun);
}
if (runs) console.log(`fastest of ${runs}: ${(fastest / 2).toFixed(1)} ms a run`);
