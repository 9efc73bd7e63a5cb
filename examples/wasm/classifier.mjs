// SPDX-License-Identifier: Apache-2.0
// classifier.mjs - from pixels to probabilities: the part that the page and node share.
// A picture is {width, height, data}: RGBA bytes, row by row, as a canvas gives them.

const STATUS = ["", "bad argument", "the weights are not this model's, or cut short", "the CPU lacks what the code needs", "bad value"];

function check(status) {
  if (status !== 0) throw new Error(STATUS[status] ?? `status ${status}`);
}

// What the model's metadata say of its input (vitjit digits.onnx --inspect).
export const DIGITS = {
  labels: ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
  mean: [0.5],
  std: [0.5],
};

export class Classifier {
  // `module`: a WebAssembly.Module; `weightsFor(digest, bytes)`: a promise of the weights file that the module asks for.
  static async create(module, weightsFor, settings = DIGITS) {
    const { exports: model } = await WebAssembly.instantiate(module);
    const bytes = model.weights_bytes();
    const words = new BigUint64Array(model.memory.buffer, model.weights_digest(), 2);
    const digest = [...words].map((word) => word.toString(16).padStart(16, "0")).join("");
    const weights = await weightsFor(digest, bytes);
    if (weights.length !== bytes) throw new Error(`${weights.length} bytes of weights, not ${bytes}`);
    new Uint8Array(model.memory.buffer).set(weights, model.weights());
    check(model.start());
    return new Classifier(model, settings);
  }

  constructor(model, settings) {
    this.model = model;
    this.settings = settings;
    this.channels = model.channels();
    this.height = model.height();
    this.width = model.width();
    const { buffer } = model.memory; // it never grows
    this.input = new Float32Array(buffer, model.image(), this.channels * this.height * this.width);
    this.logits = new Float32Array(buffer, model.logits(), model.classes());
  }

  // Probabilities of the classes, most likely first. `box`: the part of the picture to look at, {x, y, size}.
  classify(picture, box = centre(picture)) {
    this.read(picture, box);
    check(this.model.run());
    return softmax(this.logits)
      .map((probability, i) => ({ label: this.settings.labels[i], probability }))
      .sort((a, b) => b.probability - a.probability);
  }

  // Fills the input: the box's average colours, less the mean, over the deviation.
  read(picture, box) {
    const { channels, height, width, input, settings } = this;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const cell = {
          left: box.x + (x * box.size) / width,
          right: box.x + ((x + 1) * box.size) / width,
          top: box.y + (y * box.size) / height,
          bottom: box.y + ((y + 1) * box.size) / height,
        };
        const colour = average(picture, cell);
        const values = channels === 1 ? [luma(colour)] : colour;
        for (let c = 0; c < channels; c++)
          input[(c * height + y) * width + x] = (values[c] / 255 - settings.mean[c]) / settings.std[c];
      }
    }
  }
}

export function centre({ width, height }) {
  const size = Math.min(width, height);
  return { x: (width - size) / 2, y: (height - size) / 2, size };
}

// ITU-R BT.601
function luma([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

// Of the pixels in the cell, each by how much of it is inside; beyond the picture it is black.
function average({ width, height, data }, { left, right, top, bottom }) {
  const sum = [0, 0, 0];
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, bottom); y++) {
    const rows = Math.min(y + 1, bottom) - Math.max(y, top);
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, right); x++) {
      const share = rows * (Math.min(x + 1, right) - Math.max(x, left));
      for (let c = 0; c < 3; c++) sum[c] += share * data[(y * width + x) * 4 + c];
    }
  }
  const area = (right - left) * (bottom - top);
  return sum.map((value) => value / area);
}

function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (x) => Math.exp(x - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

// The model knows light digits on a dark ground: what has a light rim is turned round.
export function lightOnDark(picture) {
  const { width, height, data } = picture;
  let sum = 0;
  let count = 0;
  const look = (x, y) => {
    sum += luma(data.subarray((y * width + x) * 4));
    count++;
  };
  for (let x = 0; x < width; x++) [0, height - 1].forEach((y) => look(x, y));
  for (let y = 0; y < height; y++) [0, width - 1].forEach((x) => look(x, y));
  if (sum / count < 128) return picture;
  return { width, height, data: data.map((value, i) => (i % 4 === 3 ? value : 255 - value)) };
}

// The square around all that is light, as the digits of the training set fill their squares; null: there is nothing.
export function inkBox({ width, height, data }) {
  let left = width, right = -1, top = height, bottom = -1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (luma(data.subarray((y * width + x) * 4)) < 64) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  if (right < 0) return null;
  const size = Math.max(right - left, bottom - top) + 1;
  return { x: (left + right + 1 - size) / 2, y: (top + bottom + 1 - size) / 2, size };
}
