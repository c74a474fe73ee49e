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
  const stage = document.getElementById("stage");
  const output = manifest.outputs.find(({ kind }) => kind === "image");
  const result = make("canvas", { id: "result", width: 1, height: 1 });
  result.setAttribute("role", "img");
  result.setAttribute("aria-label", "The result, once there is one");

  const sources = manifest.inputs.filter(({ kind }) => kind === "image").map((port) => {
    const chooser = make("input", { type: "file", accept: "image/*", id: `choose-${port.name}` });
    const canvas = make("canvas", { id: `source-${port.name}`, width: 1, height: 1 });
    canvas.setAttribute("role", "img");
    const source = { port, canvas, bitmap: null, name: "" };
    source.take = async (file) => {
      try {
        source.bitmap = await pictures.read(file);
        source.name = file.name.replace(/\.[^.]*$/, "");
        canvas.setAttribute("aria-label", `The picture ${file.name}`);
        repaint();
      } catch (error) {
        say(error.message, true);
      }
    };
    chooser.addEventListener("change", () => chooser.files.length && source.take(chooser.files[0]));
    form.append(field(title(port.name), chooser));
    return source;
  });
  const controls = manifest.inputs.filter(({ kind }) => kind !== "image").map((port) => ({ port, ...controlOf(port) }));
  const size = choice(sizes(manifest.files));
  form.append(...controls.map((control) => control.field));
  if (manifest.files.length > 1) form.append(field("Size", size));
  form.addEventListener("change", (event) => event.target.type !== "file" && repaint());
  form.addEventListener("submit", (event) => event.preventDefault());

  for (const { canvas, port } of sources) {
    stage.append(make("figure", { hidden: true }, canvas, make("figcaption", { textContent: title(port.name) })));
  }
  stage.append(make("figure", { hidden: true }, result, make("figcaption", { textContent: "Result" })));
  const save = make("button", { type: "button", textContent: "Download the result", hidden: true });
  save.addEventListener("click", () => {
    const names = [sources[0].name, ...controls.map((control) => control.chosen()).filter(Boolean)];
    pictures.download(result, `${names.join("-")}.png`);
  });
  document.getElementById("actions").append(save);
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const wanted = sources.find(({ bitmap }) => !bitmap) ?? sources[0];
    if (event.dataTransfer.files.length) wanted.take(event.dataTransfer.files[0]);
  });

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
    for (const { port, canvas, bitmap } of sources) {
      const input = model.inputs[port.name];
      pictures.fit(canvas, bitmap, input.shape[2], input.shape[1]);
      canvas.parentElement.hidden = false;
      inputs[port.name] = pictures.toTensor(canvas, input, port.bounds);
    }
    for (const control of controls) inputs[control.port.name] = control.values();
    await drawn();
    const start = performance.now();
    const outputs = await model.run(inputs);
    const milliseconds = Math.round(performance.now() - start);
    const { width, height } = sources[0].canvas;
    pictures.show(result, outputs[output.name], model.outputs[output.name], output.bounds, width, height);
    result.parentElement.hidden = false;
    save.hidden = false;
    const chosen = controls.map((control) => control.chosen()).filter(Boolean);
    result.setAttribute("aria-label", [`The picture ${sources[0].name}, painted`, ...chosen].join(": "));
    Object.assign(shown, { inputs, outputs });
    say(`Painted ${width} × ${height} in ${milliseconds} ms.`);
  }

  await load(manifest.files[0].file);
  await repaint();
}

/** What the files are called in the list of sizes: by their names where two have one size. */
function sizes(files) {
  const names = files.map(({ width, height }) => `${width} × ${height}`);
  return names.map((name, i) => (names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${files[i].file})`));
}

/** Once the browser has drawn what was said: the model keeps it from drawing. */
function drawn() {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
