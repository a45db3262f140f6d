/** What each part gave to a logit: `Look.contributions` of interpretability/lens.py, from the same activations and weights. */

import type { Engine, Look, Tensor } from "../../engine/types";
import { cut, dot } from "../parts/numbers";

const EPSILON = 1e-5; // of torch's LayerNorm

/** Every weight that contributions need. Copying the embedding takes some milliseconds, so it is done once. */
export interface Readout {
  readonly embedding: Tensor; // (vocabulary, width)
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly outputs: readonly { readonly matrix: Tensor; readonly bias: Float32Array }[]; // of each layer's attention
}

export async function readout(engine: Engine): Promise<Readout> {
  const numbers = async (name: string): Promise<Float32Array> => (await engine.weight(name)).data;
  const layers = Array.from({ length: engine.manifest.model.layers }, (_, layer) => `blocks.${layer}.attention.output`);
  return {
    embedding: await engine.weight("token_embedding.weight"),
    gain: await numbers("final_norm.weight"),
    bias: await numbers("final_norm.bias"),
    outputs: await Promise.all(
      layers.map(async (name) => ({
        matrix: await engine.weight(`${name}.weight`),
        bias: await numbers(`${name}.bias`),
      })),
    ),
  };
}

/** The activations that contributions need, besides the residual stream. */
export function wanted(layers: number): string[] {
  const each = Array.from({ length: layers }, (_, layer) => [
    `blocks.${layer}.attention.mixed`,
    `blocks.${layer}.mlp_added`,
  ]);
  return ["tokens", "positions", ...each.flat(), `blocks.${layers - 1}.residual`];
}

/**
 * By part, in the order of the model: what it gave directly to the logit of `token` after `position`; with `against`, what it
 * gave to it more than to that other token. The sum is the logit, or the difference of the two.
 */
export function contributions(
  look: Look,
  weights: Readout,
  position: number,
  token: number,
  against: number | null,
): Map<string, number> {
  const layers = weights.outputs.length;
  const end = cut(look[`blocks.${layers - 1}.residual`]!, 0, position);
  const direction = Float64Array.from(cut(weights.embedding, token));
  if (against !== null) cut(weights.embedding, against).forEach((number, i) => (direction[i]! -= number));
  const mean = end.reduce((sum, number) => sum + number, 0) / end.length;
  const variance = end.reduce((sum, number) => sum + (number - mean) ** 2, 0) / end.length;
  const scaled = direction.map((number, i) => number * weights.gain[i]!);
  const middle = scaled.reduce((sum, number) => sum + number, 0) / scaled.length;
  const felt = scaled.map((number) => (number - middle) / Math.sqrt(variance + EPSILON)); // takes the mean out of every part

  const found = new Map<string, number>();
  found.set("tokens", dot(cut(look["tokens"]!, 0, position), felt));
  found.set("positions", dot(cut(look["positions"]!, position), felt)); // these alone come without a batch
  weights.outputs.forEach(({ matrix, bias }, layer) => {
    const mixed = look[`blocks.${layer}.attention.mixed`]!;
    const [, heads, , width] = mixed.shape as [number, number, number, number];
    const back = new Float64Array(heads * width); // felt, seen from before the output matrix
    felt.forEach((number, row) => cut(matrix, row).forEach((weight, column) => (back[column]! += weight * number)));
    for (let head = 0; head < heads; head++) {
      const share = dot(cut(mixed, 0, head, position), back.subarray(head * width, (head + 1) * width));
      found.set(`blocks.${layer}.attention.head.${head}`, share);
    }
    found.set(`blocks.${layer}.attention.output.bias`, dot(bias, felt));
    found.set(`blocks.${layer}.mlp`, dot(cut(look[`blocks.${layer}.mlp_added`]!, 0, position), felt));
  });
  found.set("final_norm.bias", dot(weights.bias, direction));
  return found;
}
