// Form controls for what a model takes besides pictures and latents.

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A labelled control. */
export function field(label, control) {
  return make("label", { className: "field" }, make("span", { textContent: label }), control);
}

/** A drop-down list of names; its value is an index. */
export function choice(names) {
  return make(
    "select",
    {},
    ...names.map((name, index) => make("option", { value: index, textContent: name })),
  );
}

/** A slider over an interval. */
export function slider([low, high], value) {
  return make("input", { type: "range", min: low, max: high, step: (high - low) / 100, value });
}

/**
 * The control of an input of weights, of a label or of a number.
 *
 * @param {object} port - of the manifest.
 * @returns {{port: object, field: HTMLElement, values: function, chosen: function}} `values` gives what the
 *   model takes, `chosen` the name of what is chosen, if it has one.
 */
export function controlOf(port) {
  if (port.kind === "number") {
    const [low, high] = port.bounds ?? [0, 1];
    const control = slider([low, high], high);
    const values = () => [Number(control.value)];
    return { port, field: field(title(port.name), control), values, chosen: () => null };
  }
  const control = choice(port.labels);
  const index = () => Number(control.value);
  const chosen = () => port.labels[index()];
  if (port.kind === "weights") {
    const values = () => port.labels.map((_, i) => Number(i === index()));
    return { port, field: field("Style", control), values, chosen };
  }
  return { port, field: field(title(port.name), control), values: () => [index()], chosen };
}

/** A name as a heading: "style_image" is "Style image". */
export function title(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}
