/** How much each part alone matters for the next token of one text: a batch of gates, one row for each part. */

import { likeliest, softmax } from "../../engine/sampling";
import type { Engine } from "../../engine/types";
import { cut, divergence } from "../parts/numbers";
import { gatesFor, partsOf, type Part } from "./gates";

const MOST_TOKENS = 2048; // in one run: their logits alone take 34 MB

export interface Ranked extends Part {
  readonly nats: number; // KL divergence of the next token without this part from the one with it
  readonly token: number; // the likeliest one without it
  readonly chance: number;
}

export interface Ranking {
  readonly ids: readonly number[];
  readonly parts: readonly Ranked[]; // most missed first
  readonly milliseconds: number;
}

export async function rank(engine: Engine, ids: readonly number[]): Promise<Ranking> {
  const { layers, heads } = engine.manifest.model;
  const started = performance.now();
  const parts = partsOf(layers, heads);
  const gates = [gatesFor([], layers, heads), ...parts.map((part) => gatesFor([part], layers, heads))];
  const atOnce = Math.max(1, Math.floor(MOST_TOKENS / ids.length));
  const last: Float32Array[] = [];
  for (let from = 0; from < gates.length; from += atOnce) {
    const some = gates.slice(from, from + atOnce);
    const logits = (await engine.look({ ids, want: ["logits"], gates: some }))["logits"]!;
    some.forEach((_, row) => last.push(cut(logits, row, ids.length - 1)));
  }
  const whole = last[0]!;
  const ranked = parts.map((part, place) => {
    const without = last[place + 1]!;
    const token = likeliest(without);
    return { ...part, nats: divergence(whole, without), token, chance: softmax(without)[token]! };
  });
  return { ids, parts: ranked.sort((a, b) => b.nats - a.nats), milliseconds: performance.now() - started };
}
