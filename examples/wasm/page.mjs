// SPDX-License-Identifier: Apache-2.0
// page.mjs - the page: pictures in, a table of probabilities out.
import { Classifier, DIGITS, inkBox, lightOnDark } from "./classifier.mjs";

const find = (id) => document.getElementById(id);
const drawing = find("drawing");
const pen = drawing.getContext("2d", { willReadFrequently: true });

// The browser keeps the weights under their digest, so a new model's are fetched and the old ones dropped.
async function weightsFor(digest, bytes) {
  const url = `digits.weights?${digest}`;
  if (!("caches" in window)) return read(await fetch(url)); // a page that is not secure
  const cache = await caches.open("vitjit-digits");
  let response = await cache.match(url);
  if (!response) {
    for (const old of await cache.keys()) await cache.delete(old);
    response = await fetch(url);
    if (response.ok) await cache.put(url, response.clone());
  }
  const weights = await read(response);
  if (weights.length !== bytes) await cache.delete(url);
  return weights;
}

async function read(response) {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

function show(answers, milliseconds) {
  find("answers").replaceChildren(
    ...answers.map(({ label, probability }) => {
      const row = document.createElement("tr");
      const bar = document.createElement("meter");
      bar.value = probability;
      row.insertCell().append(label);
      row.insertCell().append(bar);
      row.insertCell().append(`${(100 * probability).toFixed(1)} %`);
      return row;
    }),
  );
  find("time").textContent = `${milliseconds.toFixed(2)} ms`;
}

// The input as grey pixels; only a model with one channel has such a picture.
function showSeen({ input, width, height }) {
  const seen = find("seen").getContext("2d");
  const pixels = seen.createImageData(width, height);
  input.forEach((value, i) => {
    pixels.data.fill(255 * (value * DIGITS.std[0] + DIGITS.mean[0]), 4 * i, 4 * i + 3);
    pixels.data[4 * i + 3] = 255;
  });
  seen.putImageData(pixels, 0, 0);
}

function classify(classifier, picture, box) {
  const begun = performance.now();
  const answers = classifier.classify(picture, box);
  show(answers, performance.now() - begun);
  showSeen(classifier);
}

function clear() {
  pen.fillStyle = "black";
  pen.fillRect(0, 0, drawing.width, drawing.height);
  find("answers").replaceChildren();
  find("time").textContent = "";
}

// A file or an address: drawn for the eye, classified from its own pixels.
async function classifyPicture(classifier, source) {
  const blob = source instanceof Blob ? source : await (await fetch(source)).blob();
  const bitmap = await createImageBitmap(blob);
  const own = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  own.drawImage(bitmap, 0, 0);
  clear();
  const scale = Math.min(drawing.width / bitmap.width, drawing.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  pen.imageSmoothingEnabled = scale < 1;
  pen.drawImage(bitmap, (drawing.width - width) / 2, (drawing.height - height) / 2, width, height);
  classify(classifier, lightOnDark(own.getImageData(0, 0, bitmap.width, bitmap.height)));
}

function classifyDrawing(classifier) {
  const picture = pen.getImageData(0, 0, drawing.width, drawing.height);
  const box = inkBox(picture);
  if (box) classify(classifier, picture, box);
}

function letDraw(classifier) {
  const position = (event) => [event.offsetX * (drawing.width / drawing.clientWidth), event.offsetY * (drawing.height / drawing.clientHeight)];
  let from = null;
  drawing.addEventListener("pointerdown", (event) => {
    drawing.setPointerCapture(event.pointerId);
    from = position(event);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = position(event);
    pen.strokeStyle = "white";
    pen.lineWidth = 28;
    pen.lineCap = "round";
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
    from = to;
    classifyDrawing(classifier);
  });
  for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => (from = null));
}

function letDrop(look) {
  const body = document.body;
  body.addEventListener("dragover", (event) => {
    event.preventDefault();
    body.classList.add("over");
  });
  body.addEventListener("dragleave", () => body.classList.remove("over"));
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    body.classList.remove("over");
    if (event.dataTransfer.files.length) look(event.dataTransfer.files[0]);
  });
}

function offerSamples(look) {
  for (const label of DIGITS.labels) {
    const sample = new Image();
    sample.src = `pictures/${label}.png`;
    sample.alt = label;
    sample.addEventListener("click", () => look(sample.src));
    find("samples").append(sample);
  }
}

function complain(error) {
  find("problem").textContent = error.message;
}

async function main() {
  clear();
  const module = await WebAssembly.compileStreaming(fetch("digits.wasm"));
  const classifier = await Classifier.create(module, weightsFor);
  const look = (source) => {
    find("problem").textContent = "";
    classifyPicture(classifier, source).catch(complain);
  };
  letDraw(classifier);
  letDrop(look);
  offerSamples(look);
  find("clear").addEventListener("click", clear);
  find("file").addEventListener("change", (event) => event.target.files.length && look(event.target.files[0]));
  look("pictures/seven.png");
}

main().catch(complain);
