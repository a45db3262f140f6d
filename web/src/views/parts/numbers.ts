/** Small arithmetic on tensors, and numbers for people. */

import { best, softmax } from "../../engine/sampling";
import type { Tensor } from "../../engine/types";

/** The last axis at these indices: cut(q, 0, head, position) of (batch, heads, time, width). A view, not a copy. */
export function cut(tensor: Tensor, ...indices: readonly number[]): Float32Array {
  const width = tensor.shape.at(-1)!;
  const row = indices.reduce((before, index, axis) => before * tensor.shape[axis]! + index, 0);
  return tensor.data.subarray(row * width, (row + 1) * width);
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** KL(p || q) in nats from two rows of logits: what it costs to believe q where p is true. */
export function divergence(p: Float32Array, q: Float32Array): number {
  const shares = softmax(p);
  const [sumP, sumQ] = [logSum(p), logSum(q)];
  return shares.reduce((sum, share, token) => sum + share * (p[token]! - sumP - (q[token]! - sumQ)), 0);
}

/** log of the sum of the exponentials. */
function logSum(logits: Float32Array): number {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
}

/** The place of the largest number, the first of several. */
export function largest(numbers: ArrayLike<number>): number {
  let place = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i]! > numbers[place]!) place = i;
  return place;
}

/** With a real minus sign; 0 never has one. */
export function signed(value: number, digits = 2): string {
  const written = Math.abs(value).toFixed(digits);
  return value < 0 && Number(written) !== 0 ? `\u2212${written}` : written;
}

/** The likeliest next tokens of two rows of logits with both chances, the largest first. */
export function compared(
  before: Float32Array,
  after: Float32Array,
  count: number,
): { token: number; before: number; share: number }[] {
  const [old, now] = [softmax(before), softmax(after)];
  const tokens = new Set([...best(old, count), ...best(now, count)].map(({ token }) => token));
  return [...tokens]
    .map((token) => ({ token, before: old[token]!, share: now[token]! }))
    .sort((a, b) => Math.max(b.before, b.share) - Math.max(a.before, a.share))
    .slice(0, count + 2);
}
