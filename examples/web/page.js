// Starts the page: reads model.json, loads the model, and builds the page of its kind.

import { paint } from "./paint.js";
import { walk } from "./walk.js";

/** What the picture on the page was made of and made into: the model's typed arrays by name. */
export const shown = { inputs: {}, outputs: {} };

const status = document.getElementById("status");

function say(sentence, failed = false) {
  status.textContent = sentence;
  status.classList.toggle("failed", failed);
}

async function readManifest() {
  const response = await fetch("model.json");
  if (!response.ok) {
    throw new Error(
      "There is no model beside this page: export one with “keras-gen export RUN --web FOLDER”.",
    );
  }
  return response.json();
}

async function importRuntime() {
  try {
    return await import("./runtime.js");
  } catch {
    throw new Error(
      "LiteRT.js is not installed: run “npm install” in the folder of this page, and reload it.",
    );
  }
}

/** Keeps what was loaded for a time without network, where the browser allows it. */
async function keep() {
  if (!("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register("offline.js");
  if (navigator.serviceWorker.controller) return;
  // What came before the worker did is asked for once more.
  await navigator.serviceWorker.ready;
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const cache = await caches.open("keras-gen");
  await cache.addAll(new Set([location.href, ...loaded.filter((name) => name.startsWith(location.origin))]));
}

async function start() {
  const manifest = await readManifest();
  const title = document.getElementById("title");
  document.title = title.textContent = manifest.title;
  const { accelerators, compile } = await importRuntime();
  const device = document.querySelector("#device select");
  document.getElementById("device").hidden = (await accelerators()).length < 2;
  // To the page, another device is a change as any other.
  device.addEventListener("change", () =>
    document.getElementById("controls").dispatchEvent(new Event("change")),
  );

  let open = {};
  async function load(file) {
    const accelerator = device.value;
    if (open.file !== file || open.accelerator !== accelerator) {
      open.model?.close();
      open = {};
      open = { file, accelerator, model: await compile(file, manifest.signature, accelerator) };
    }
    return open.model;
  }
  await { picture: paint, walk }[manifest.kind](manifest, load, say, shown);
}

try {
  await start();
  await keep().catch(() => {});
  document.documentElement.dataset.ready = "";
} catch (error) {
  say(error.message, true);
}
