/** The logit lens: the final norm and the tied matrix, applied to the residual stream after the embeddings and each half block. */

import type { Model } from "./model";
import { best, softmax } from "./sampling";
import type { Guess, LensOptions, LensResult } from "./types";

const EPSILON = 1e-5; // of torch's LayerNorm

export async function lens(model: Model, ids: readonly number[], options: LensOptions): Promise<LensResult> {
  const { layers, width, vocabulary_size: vocabulary } = model.manifest.model;
  const { count = 5, track = [], gates, checkpoint } = options;
  const halves = ["residual_middle", "residual"];
  const stages = [
    "embedded",
    ...Array.from({ length: layers }, (_, n) => halves.map((half) => `blocks.${n}.${half}`)).flat(),
  ];
  const looked = await model.look({
    ids,
    want: stages,
    ...(gates ? { gates: [gates] } : {}),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  });
  const spelled = (await model.weight("token_embedding.weight", checkpoint)).data;
  const gain = (await model.weight("final_norm.weight", checkpoint)).data;
  const bias = (await model.weight("final_norm.bias", checkpoint)).data;
  const guesses: Guess[][][] = [];
  const tracked: number[][][] = [];
  for (const stage of stages) {
    const vectors = normed(looked[stage]!.data, ids.length, width, gain, bias);
    const logits = products(vectors, spelled, ids.length, vocabulary, width);
    const shares = Array.from(ids, (_, at) => softmax(logits.subarray(at * vocabulary, (at + 1) * vocabulary)));
    guesses.push(shares.map((here) => best(here, count)));
    tracked.push(shares.map((here) => track.map((token) => here[token] ?? 0)));
  }
  return { stages, guesses, tracked };
}

/** LayerNorm of each row of (time, width). */
function normed(rows: Float32Array, time: number, width: number, gain: Float32Array, bias: Float32Array): Float32Array {
  const result = new Float32Array(time * width);
  for (let at = 0; at < time; at++) {
    const row = rows.subarray(at * width, (at + 1) * width);
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const spread = Math.sqrt(variance + EPSILON);
    for (let i = 0; i < width; i++) result[at * width + i] = ((row[i]! - mean) / spread) * gain[i]! + bias[i]!;
  }
  return result;
}

/** (time, width) times the transpose of (vocabulary, width): (time, vocabulary). Four sums at once: it is the slow part. */
function products(
  vectors: Float32Array,
  matrix: Float32Array,
  time: number,
  vocabulary: number,
  width: number,
): Float32Array {
  const result = new Float32Array(time * vocabulary);
  for (let token = 0; token < vocabulary; token++) {
    const row = token * width;
    for (let at = 0; at < time; at++) {
      const vector = at * width;
      let [a, b, c, d] = [0, 0, 0, 0];
      let i = 0;
      for (; i + 3 < width; i += 4) {
        a += vectors[vector + i]! * matrix[row + i]!;
        b += vectors[vector + i + 1]! * matrix[row + i + 1]!;
        c += vectors[vector + i + 2]! * matrix[row + i + 2]!;
        d += vectors[vector + i + 3]! * matrix[row + i + 3]!;
      }
      for (; i < width; i++) a += vectors[vector + i]! * matrix[row + i]!;
      result[at * vocabulary + token] = a + b + c + d;
    }
  }
  return result;
}
