// SPDX-License-Identifier: Apache-2.0
// web.mjs - node web.mjs FOLDER MODEL.onnx ROUNDS: times FOLDER/model.wasm and onnxruntime-web on MODEL.onnx, in turns.
// FOLDER is made by bench/web. Both have run until the engine's optimising compiler is done; a round is a second of each.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { join } from "node:path";

const [folder, path, rounds] = process.argv.slice(2);
const require = createRequire(join(folder, "/"));
const ort = require("onnxruntime-web");
const WARM = 2000; // ms
const ROUND = 1000;

async function openVitjit() {
  const begun = performance.now();
  const { instance } = await WebAssembly.instantiate(readFileSync(join(folder, "model.wasm")));
  const model = instance.exports;
  new Uint8Array(model.memory.buffer).set(readFileSync(join(folder, "model.weights")), model.weights());
  if (model.start() !== 0) throw new Error("not the weights");
  const array = (at, count) => new Float32Array(model.memory.buffer, at, count);
  return {
    name: "vitjit",
    start: performance.now() - begun,
    input: array(model.input(), model.input_count()),
    dims: Array.from({ length: model.rank() }, (_, axis) => model.dim(axis)),
    run: async () => {
      if (model.run() !== 0) throw new Error("run failed");
      return array(model.output(), model.output_count());
    },
  };
}

async function openOrt(data, dims) {
  ort.env.wasm.numThreads = 1;
  const begun = performance.now();
  const session = await ort.InferenceSession.create(readFileSync(path), { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const inputs = { [session.inputNames[0]]: new ort.Tensor("float32", data, dims) };
  const run = async () => (await session.run(inputs))[session.outputNames[0]].data;
  return { name: "onnxruntime-web", start: performance.now() - begun, run };
}

// Milliseconds of each run for so long.
async function runsFor(engine, milliseconds) {
  const times = [];
  const end = performance.now() + milliseconds;
  do {
    const begun = performance.now();
    await engine.run();
    times.push(performance.now() - begun);
  } while (performance.now() < end);
  return times;
}

const sorted = (list) => Float64Array.from(list).sort();
const median = (list) => (sorted(list)[(list.length - 1) >> 1] + sorted(list)[list.length >> 1]) / 2;

const vitjit = await openVitjit();
let seed = 1;
for (let i = 0; i < vitjit.input.length; i++) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  vitjit.input[i] = seed / 2 ** 31 - 1;
}
const peer = await openOrt(Float32Array.from(vitjit.input), vitjit.dims);

const mine = await vitjit.run();
const wanted = await peer.run();
const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
const off = wanted.reduce((most, x, i) => Math.max(most, Math.abs(x - mine[i])), 0) / scale;
if (!(off <= 1e-4)) throw new Error(`the answers differ by ${off} of the largest`);

const engines = [vitjit, peer];
for (const engine of engines) await runsFor(engine, WARM);
const medians = engines.map(() => []);
const best = engines.map(() => Infinity);
for (let round = 0; round < Number(rounds); round++) {
  for (const i of round % 2 ? [1, 0] : [0, 1]) {
    const times = await runsFor(engines[i], ROUND);
    medians[i].push(median(times));
    best[i] = Math.min(best[i], ...times);
  }
}
const ratios = sorted(medians[0].map((time, i) => medians[1][i] / time));
console.log(`${cpus()[0].model}; node ${process.version}, V8 ${process.versions.v8}; onnxruntime-web ${ort.env.versions.web}; one thread`);
console.log(`${rounds} rounds; answers differ by ${off.toExponential(1)} of the largest`);
engines.forEach((engine, i) =>
  console.log(`${engine.name}: median ${median(medians[i]).toFixed(1)} ms, best ${best[i].toFixed(1)} ms, start ${engine.start.toFixed(0)} ms`),
);
console.log(`ratio ${median(ratios).toFixed(2)} (${ratios[0].toFixed(2)} to ${ratios[ratios.length - 1].toFixed(2)})`);
