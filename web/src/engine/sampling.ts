/**
 * From logits to the next token: `inference/sampling.py` once more, the same filters in the same order. A filter sets the
 * logits of the tokens that it forbids to minus infinity.
 */

import type { Random } from "./random";
import type { Guess, Sampling } from "./types";

/** Only the k largest logits stay, and any equal to the smallest of these. */
export function keepTopK(logits: Float32Array, k: number): Float32Array {
  if (k <= 0 || k >= logits.length) return logits;
  const smallest = Float32Array.from(logits).sort()[logits.length - k]!;
  return logits.map((logit) => (logit < smallest ? -Infinity : logit));
}

/** The smallest set of likeliest tokens whose probabilities reach p. */
export function keepTopP(logits: Float32Array, p: number): Float32Array {
  if (p >= 1) return logits;
  const shares = softmax(logits);
  const kept = logits.map(() => -Infinity);
  let before = 0; // probability of all that are likelier
  for (const token of ranking(shares)) {
    if (before >= p) break;
    kept[token] = logits[token]!;
    before += shares[token]!;
  }
  return kept;
}

/** Tokens at least p times as likely as the likeliest one. */
export function keepMinP(logits: Float32Array, p: number): Float32Array {
  if (p <= 0) return logits;
  const smallest = Math.fround(largest(logits) + Math.log(p));
  return logits.map((logit) => (logit < smallest ? -Infinity : logit));
}

/** The logits after the temperature and after each filter, in their order; the last are drawn from. */
export function stages(
  logits: Float32Array,
  sampling: Sampling,
): Record<"temperature" | "top_k" | "top_p" | "min_p", Float32Array> {
  const temperature = logits.map((logit) => logit / sampling.temperature);
  const top_k = keepTopK(temperature, sampling.top_k);
  const top_p = keepTopP(top_k, sampling.top_p);
  return { temperature, top_k, top_p, min_p: keepMinP(top_p, sampling.min_p) };
}

/** The probabilities that the dice use: all on the likeliest token where the temperature is 0. */
export function drawable(logits: Float32Array, sampling: Sampling): Float64Array {
  if (sampling.temperature > 0) return softmax(stages(logits, sampling).min_p);
  const shares = new Float64Array(logits.length);
  shares[likeliest(logits)] = 1;
  return shares;
}

/** Draws a token. Greedy or not, one number of `random` is used up, so that replies stay in step. */
export function draw(shares: Float64Array, random: Random): number {
  const dart = random.next();
  let reached = 0;
  let last = 0;
  for (let token = 0; token < shares.length; token++) {
    if (shares[token] === 0) continue;
    reached += shares[token]!;
    last = token;
    if (dart < reached) return token;
  }
  return last; // rounding: the shares add up to a little less than 1
}

export function softmax(logits: Float32Array): Float64Array {
  const top = largest(logits);
  const shares = new Float64Array(logits.length);
  let sum = 0;
  for (let token = 0; token < logits.length; token++) sum += shares[token] = Math.exp(logits[token]! - top);
  for (let token = 0; token < logits.length; token++) shares[token]! /= sum;
  return shares;
}

/** The `count` likeliest tokens, likeliest first; of equally likely ones the smaller id. */
export function best(shares: Float64Array, count: number): Guess[] {
  const found: Guess[] = [];
  for (let token = 0; token < shares.length; token++) {
    const chance = shares[token]!;
    if (found.length === count && chance <= found[count - 1]!.chance) continue;
    let place = found.length;
    while (place > 0 && found[place - 1]!.chance < chance) place--;
    found.splice(place, 0, { token, chance });
    if (found.length > count) found.pop();
  }
  return found;
}

export function likeliest(logits: Float32Array): number {
  return logits.indexOf(largest(logits));
}

function largest(logits: Float32Array): number {
  let top = -Infinity;
  for (const logit of logits) if (logit > top) top = logit;
  return top;
}

function ranking(shares: Float64Array): number[] {
  return Array.from(shares.keys()).sort((a, b) => shares[b]! - shares[a]! || a - b);
}
