/** What he answers to a text that was chopped in some way: its ids are read as they are. */

import { likeliest } from "../../engine/sampling";
import type { Engine } from "../../engine/types";

const MOST = 30; // tokens

export interface Answer {
  readonly ids: readonly number[];
  readonly text: string;
  readonly ended: boolean;
}

/** Always the likeliest token. The whole text is read again for each: it is short. */
export async function answerTo(engine: Engine, asked: readonly number[]): Promise<Answer> {
  const { start, answer, end } = engine.tokenizer;
  const before = [start, ...asked, answer];
  const said: number[] = [];
  while (said.length < MOST && before.length + said.length <= engine.manifest.model.context) {
    const token = likeliest(await engine.next([...before, ...said]));
    if (token === end) return { ids: said, text: engine.tokenizer.decode(said), ended: true };
    said.push(token);
  }
  return { ids: said, text: engine.tokenizer.decode(said), ended: false };
}

/** How many tokens training never met, and the mean cosine between the vectors of two of them; null if there are not two. */
export async function unmet(engine: Engine): Promise<{ tokens: number; cosine: number } | null> {
  const never = engine.counts?.slice(0, engine.tokenizer.size).flatMap((times, id) => (times ? [] : [id])) ?? [];
  if (never.length < 2) return null;
  const { data } = await engine.weight("token_embedding.weight");
  const { width } = engine.manifest.model;
  const sum = new Float64Array(width); // of all vectors, each made one long: its square holds every pair's cosine twice
  for (const id of never) {
    const vector = data.subarray(id * width, (id + 1) * width);
    const length = Math.hypot(...vector);
    vector.forEach((value, i) => (sum[i]! += value / length));
  }
  const square = sum.reduce((total, value) => total + value * value, 0);
  return { tokens: never.length, cosine: (square - never.length) / (never.length * (never.length - 1)) };
}
