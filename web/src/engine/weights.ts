/** weights.q8 to weights.f32: each number is a whole number from -127 to 127 times the scale of its row. */

import type { Place } from "./manifest";

/** Writes what both graphs read. Little endian, as every machine that runs a browser. */
export function dequantised(
  blob: Uint8Array<ArrayBuffer>,
  places: readonly Place[],
  bytes: number,
): Float32Array<ArrayBuffer> {
  const weights = new Float32Array(bytes / 4);
  for (const place of places) {
    const size = place.shape.reduce((product, side) => product * side, 1);
    const target = weights.subarray(place.f32_offset / 4, place.f32_offset / 4 + size);
    if (place.scale_offset === null) {
      target.set(new Float32Array(blob.buffer, blob.byteOffset + place.q8_offset, size));
      continue;
    }
    const rows = place.shape[0]!;
    const columns = size / rows;
    const steps = new Int8Array(blob.buffer, blob.byteOffset + place.q8_offset, size);
    const scales = new Float32Array(blob.buffer, blob.byteOffset + place.scale_offset, rows);
    for (let row = 0; row < rows; row++) {
      const scale = scales[row]!;
      for (let at = row * columns; at < (row + 1) * columns; at++) target[at] = steps[at]! * scale;
    }
  }
  return weights;
}
