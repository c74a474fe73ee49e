// The page of a model that takes pictures and gives one: style transfer, translation, reconstruction.

import { choice, controlOf, field, make, title } from "./controls.js";
import * as pictures from "./pictures.js";

/**
 * Builds the page.
 *
 * @param {object} manifest - model.json.
 * @param {function} load - the compiled model of a file of the manifest.
 * @param {function} say - shows a sentence, as an error where the second argument is true.
 * @param {object} shown - receives what the picture on the page was made of and made into.
 */
export async function paint(manifest, load, say, shown) {
  const form = document.getElementById("controls");
  const output = manifest.outputs.find(({ kind }) => kind === "image");
  const sources = manifest.inputs.filter(({ kind }) => kind === "image").map(makeSource);
  const controls = manifest.inputs.filter(({ kind }) => kind !== "image").map(controlOf);
  const size = choice(sizes(manifest.files));
  const result = drawing("result", "Result");
  const save = make("button", { type: "button", textContent: "Download the result", hidden: true });

  form.append(...[...sources, ...controls].map((control) => control.field));
  if (manifest.files.length > 1) form.append(field("Size", size));
  document.getElementById("stage").append(...sources.map(({ figure }) => figure), result.figure);
  document.getElementById("actions").append(save);

  for (const source of sources) {
    source.chooser.addEventListener("change", () => take(source, source.chooser.files[0]));
  }
  form.addEventListener("change", (event) => event.target.type !== "file" && repaint());
  form.addEventListener("submit", (event) => event.preventDefault());

  save.addEventListener("click", () =>
    pictures.download(result.canvas, `${[sources[0].name, ...chosen()].join("-")}.png`),
  );
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(sources.find(({ bitmap }) => !bitmap) ?? sources[0], event.dataTransfer.files[0]);
  });

  /** The names of what is chosen, e.g. of the style. */
  function chosen() {
    return controls.map((control) => control.chosen()).filter(Boolean);
  }

  async function take(source, file) {
    if (!file) return;
    try {
      source.bitmap = await pictures.read(file);
      source.name = file.name.replace(/\.[^.]*$/, "");
      source.canvas.setAttribute("aria-label", `The picture ${file.name}`);
      repaint();
    } catch (error) {
      say(error.message, true);
    }
  }

  let busy = false;
  let again = false;

  /** Paints with the settings as they are; those that change meanwhile are painted next. */
  async function repaint() {
    again = true;
    if (busy) return;
    busy = true;
    try {
      while (again) {
        again = false;
        await once();
      }
    } catch (error) {
      say(`The picture could not be painted: ${error.message}`, true);
    } finally {
      busy = false;
    }
  }

  async function once() {
    const missing = sources.find(({ bitmap }) => !bitmap);
    if (missing) {
      say(`Choose a file for “${title(missing.port.name)}”, or drop it here.`);
      return;
    }
    say("Painting…");
    const model = await load(manifest.files[Number(size.value)].file);
    const inputs = {};
    for (const { port, canvas, bitmap, figure } of sources) {
      const input = model.inputs[port.name];
      pictures.fit(canvas, bitmap, input.shape[2], input.shape[1]);
      figure.hidden = false;
      inputs[port.name] = pictures.toTensor(canvas, input, port.bounds);
    }
    for (const { port, values } of controls) inputs[port.name] = values();
    await drawn();
    const start = performance.now();
    const outputs = await model.run(inputs);
    const milliseconds = Math.round(performance.now() - start);
    const { width, height } = sources[0].canvas;
    const made = outputs[output.name];
    pictures.show(result.canvas, made, model.outputs[output.name], output.bounds, width, height);
    result.canvas.setAttribute("aria-label", [`${sources[0].name}, painted`, ...chosen()].join(": "));
    result.figure.hidden = save.hidden = false;
    Object.assign(shown, { inputs, outputs });
    say(`Painted ${width} × ${height} in ${milliseconds} ms.`);
  }

  await load(manifest.files[0].file);
  await repaint();
}

/** An input for a picture: its file chooser, its canvas, and later its bitmap and name. */
function makeSource(port) {
  const chooser = make("input", { type: "file", accept: "image/*", id: `choose-${port.name}` });
  const name = title(port.name);
  return { port, chooser, field: field(name, chooser), ...drawing(`source-${port.name}`, name) };
}

/** A canvas with a caption, hidden until there is something on it. */
function drawing(id, caption) {
  const canvas = make("canvas", { id });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", caption);
  const figure = make("figure", { hidden: true }, canvas, make("figcaption", { textContent: caption }));
  return { canvas, figure };
}

/** What the files are called in the list of sizes: by their names where two have one size. */
function sizes(files) {
  const names = files.map(({ width, height }) => `${width} × ${height}`);
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${files[i].file})`,
  );
}

/** Once the browser has drawn what was said: the model keeps it from drawing. */
function drawn() {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
