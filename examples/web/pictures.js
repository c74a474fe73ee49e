// Pictures between canvases and tensors (1, height, width, channels).

/** Reads a file that a person chose, upright. */
export async function read(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new Error(`This browser cannot read ${file.name} as a picture: choose a JPEG, PNG or WebP.`);
  }
}

/** Draws a picture on a canvas as large as fits into width × height, on white where it is transparent. */
export function fit(canvas, bitmap, width, height) {
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = pen(canvas);
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

/**
 * A canvas's pixels for a model; what the canvas does not fill is its mirror image.
 *
 * @param {HTMLCanvasElement} canvas - no larger than the model's picture.
 * @param {{dtype: string, shape: number[]}} input - of the model.
 * @param {number[]} bounds - what 0 and 255 are in float32; uint8 stays as it is.
 */
export function toTensor(canvas, { dtype, shape: [, height, width, channels] }, [low, high]) {
  const { data } = pen(canvas).getImageData(0, 0, canvas.width, canvas.height);
  const values = new (dtype === "uint8" ? Uint8Array : Float32Array)(height * width * channels);
  const [scale, offset] = dtype === "uint8" ? [1, 0] : [(high - low) / 255, low];
  let index = 0;
  for (let y = 0; y < height; y++) {
    const row = mirrored(y, canvas.height) * canvas.width;
    for (let x = 0; x < width; x++) {
      const pixel = 4 * (row + mirrored(x, canvas.width));
      if (channels === 1) {
        const grey = 0.299 * data[pixel] + 0.587 * data[pixel + 1] + 0.114 * data[pixel + 2];
        values[index++] = Math.round(grey) * scale + offset;
      } else {
        for (let channel = 0; channel < channels; channel++) {
          values[index++] = data[pixel + channel] * scale + offset;
        }
      }
    }
  }
  return values;
}

/** Shows a model's picture on a canvas: its upper left part of width × height. */
export function show(canvas, values, { dtype, shape: [, , stride, channels] }, [low, high], width, height) {
  const pixels = new ImageData(width, height);
  const [scale, offset] = dtype === "uint8" ? [1, 0] : [255 / (high - low), low];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * stride + x) * channels;
      const to = 4 * (y * width + x);
      for (let channel = 0; channel < 3; channel++) {
        // ImageData rounds and clips.
        pixels.data[to + channel] = (values[from + (channels === 1 ? 0 : channel)] - offset) * scale;
      }
      pixels.data[to + 3] = 255;
    }
  }
  canvas.width = width;
  canvas.height = height;
  pen(canvas).putImageData(pixels, 0, 0);
}

/** Offers a canvas as a PNG file. */
export function download(canvas, name) {
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), {
      href: URL.createObjectURL(blob),
      download: name,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }, "image/png");
}

function mirrored(index, size) {
  const place = index % (2 * size);
  return place < size ? place : 2 * size - 1 - place;
}

function pen(canvas) {
  return canvas.getContext("2d", { willReadFrequently: true });
}
