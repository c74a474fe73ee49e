// The page of a model that gives pictures of latents: a walk from one to the next, on and on.

import { controlOf, field, make, slider } from "./controls.js";
import * as pictures from "./pictures.js";

/**
 * Builds the page; for the arguments see paint.js.
 */
export async function walk(manifest, load, say, shown) {
  const form = document.getElementById("controls");
  const latent = manifest.inputs.find(({ kind }) => kind === "latent");
  const output = manifest.outputs.find(({ kind }) => kind === "image");
  const { file } = manifest.files[0];
  const { inputs, outputs } = await load(file);
  const size = inputs[latent.name].shape.reduce((a, b) => a * b, 1);
  const [, height, width] = outputs[output.name].shape;

  const canvas = make("canvas", { id: "result", width, height, className: width < 128 ? "coarse" : "" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "A picture that the model invented, changing slowly");
  const timing = make("figcaption", { id: "timing" });
  document.getElementById("stage").append(make("figure", {}, canvas, timing));

  const seed = make("input", { type: "number", id: "seed", min: 0, max: 2 ** 31, step: 1, value: 0 });
  const speed = slider([0.1, 2], 0.5);
  const controls = manifest.inputs.filter(({ kind }) => kind !== "latent").map(controlOf);
  form.append(field("Seed", seed), field("Speed", speed), ...controls.map((control) => control.field));
  const another = make("button", { type: "button", textContent: "Another seed" });
  const toggle = make("button", { type: "button", id: "toggle" });
  const save = make("button", { type: "button", textContent: "Download this picture" });
  document.getElementById("actions").append(toggle, another, save);

  let time = 0;
  let playing = null; // the walk that goes on, if one does
  let smoothed = 0;
  let drawing = Promise.resolve();

  async function draw() {
    const model = await load(file);
    const inputs = { [latent.name]: latentAt(Number(seed.value), time, size) };
    for (const { port, values } of controls) inputs[port.name] = values();
    const start = performance.now();
    const outputs = await model.run(inputs);
    const milliseconds = performance.now() - start;
    smoothed = smoothed ? 0.95 * smoothed + 0.05 * milliseconds : milliseconds;
    pictures.show(canvas, outputs[output.name], model.outputs[output.name], output.bounds, width, height);
    timing.textContent = `${width} × ${height}, ${smoothed.toFixed(1)} ms a picture`;
    Object.assign(shown, { inputs, outputs });
  }

  /** One picture after another, never two at once. */
  function redraw() {
    drawing = drawing.then(draw).catch((error) => {
      pause();
      say(`The picture could not be made: ${error.message}`, true);
    });
    return drawing;
  }

  async function play() {
    const mine = (playing = {});
    toggle.textContent = "Pause";
    say("Walking from latent to latent.");
    let last = await nextFrame();
    while (playing === mine) {
      const now = await nextFrame();
      // A tab that was hidden goes on where it was.
      time += Math.min(now - last, 100) * 0.001 * Number(speed.value);
      last = now;
      await redraw();
    }
  }

  function pause() {
    playing = null;
    toggle.textContent = "Play";
    say("Paused.");
  }

  toggle.addEventListener("click", () => (playing ? pause() : play()));
  another.addEventListener("click", () => {
    seed.value = Math.floor(Math.random() * 2 ** 31);
    time = 0;
    redraw();
  });
  seed.addEventListener("change", () => {
    time = 0;
    redraw();
  });
  form.addEventListener("change", (event) => {
    smoothed = 0;
    if (event.target !== seed) redraw();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  save.addEventListener("click", () => pictures.download(canvas, `seed-${seed.value}.png`));

  pause();
  await redraw();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
}

function nextFrame() {
  return new Promise(requestAnimationFrame);
}

/**
 * A point on the walk of a seed: spherical interpolation between standard normal vectors, one a unit of time.
 *
 * @param {number} seed - a whole number.
 * @param {number} time - at least 0.
 * @param {number} size - of the vectors.
 * @returns {Float32Array} the same for the same arguments.
 */
export function latentAt(seed, time, size) {
  const index = Math.floor(time);
  const [start, end] = [normals(seed, index, size), normals(seed, index + 1, size)];
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cosine = dot(start, end) / Math.sqrt(dot(start, start) * dot(end, end));
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  const share = time - index;
  const [first, second] =
    Math.sin(angle) < 1e-6
      ? [1 - share, share]
      : [Math.sin((1 - share) * angle) / Math.sin(angle), Math.sin(share * angle) / Math.sin(angle)];
  return start.map((value, i) => first * value + second * end[i]);
}

/** Standard normal numbers by Box and Muller, from mulberry32. */
function normals(seed, index, size) {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (((bits ^ (bits >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: size },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
