// SPDX-License-Identifier: Apache-2.0
// page.mjs PAGE.html [REPORT.txt] - what the page of --report=FILE.html has as data.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const [page, report] = process.argv.slice(2);
const data = JSON.parse(/id="data">(.*?)<\/script>/s.exec(readFileSync(page, "utf8"))[1]);

const told = data.recognised.map(({ what, fused, seen, misses }) => {
  assert.ok(fused >= 0 && fused <= seen);
  assert.ok(misses.reduce((sum, miss) => sum + miss.times, 0) <= seen);
  return `${what} ${fused} of ${seen}`;
});
if (report) assert.deepEqual(told, readFileSync(report, "utf8").split("\n").filter(line => line && !line.startsWith(" ")));

assert.ok(data.kernels.length > 20 && data.phases <= data.kernels.length);
for (const kernel of data.kernels) {
  assert.ok(kernel.busy_ms >= 0 && kernel.flops >= 0 && kernel.bytes > 0);
  assert.equal(["gemm", "attention"].includes(kernel.kind), "type" in kernel);
}
const busy = data.kernels.reduce((sum, kernel) => sum + kernel.busy_ms, 0) / data.threads;
assert.ok(busy > 0 && busy <= 2 * data.wall_ms, `${busy} ms of kernels in ${data.wall_ms}`);
assert.ok(data.peak_gflops > 0 && data.stream_gbs > 0);

// Values that are needed at the same time do not share bytes; a kernel may write where it reads its operand for the last time.
assert.ok(data.buffers.length > 3);
for (const [i, a] of data.buffers.entries()) {
  assert.ok(a.offset >= 0 && a.offset + a.bytes <= data.arena_bytes && a.first <= a.last && a.last < data.phases);
  for (const b of data.buffers.slice(0, i)) {
    const together = (a.first < b.last && b.first < a.last) || a.first === b.first;
    assert.ok(!together || a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset, `${a.name} and ${b.name}`);
  }
}

const last = new Map();
for (const [kernel, thread, begin, end] of data.work) {
  assert.ok(data.kernels[kernel] && thread >= 0 && thread < data.threads && begin >= (last.get(thread) ?? 0) && end >= begin);
  last.set(thread, end);
}

const products = new Set(data.kernels.filter(kernel => kernel.type).map(kernel => kernel.node));
assert.ok(data.losses.length > 0);
for (const { node, bf16, int8 } of data.losses) {
  assert.ok(products.has(node), node);
  for (const loss of [bf16, int8]) assert.ok(loss === undefined || (loss > 0 && loss < 0.1), `${node}: ${loss}`);
}
