/** What a head does on one text, in figures: the scores of `interpretability/heads.py`, and where its last token looks. */

import type { Tensor } from "../../engine/types";
import { cut, largest } from "../parts/numbers";

export interface HeadFacts {
  readonly previous: number; // mean share given to the token before, over tokens from the third on
  readonly first: number; // to the first token, over the same
  readonly ahead: number; // to tokens that come later: 0 with the mask; over all tokens
  readonly at: number; // where the last token looks most
  readonly share: number; // how much of its attention that is
}

/** `pattern`: (1, heads, time, time looked at). Means over no token at all are NaN. */
export function facts(pattern: Tensor, head: number): HeadFacts {
  const time = pattern.shape[2]!;
  const rows = Array.from({ length: time }, (_, row) => cut(pattern, 0, head, row));
  const mean = (shares: readonly number[]): number => shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const late = rows.slice(2);
  const last = rows[time - 1]!;
  const at = largest(last);
  return {
    previous: mean(late.map((row, i) => row[i + 1]!)),
    first: mean(late.map((row) => row[0]!)),
    ahead: mean(rows.map((row, i) => row.slice(i + 1).reduce((sum, share) => sum + share, 0))),
    at,
    share: last[at]!,
  };
}

/** The head whose last token looks hardest at an earlier one that is neither itself nor the first: [layer, head]. */
export function sharpest(patterns: readonly Tensor[]): [number, number] {
  let found: [number, number] = [0, 0];
  let most = -1;
  patterns.forEach((pattern, layer) => {
    const [, heads, time] = pattern.shape as [number, number, number, number];
    for (let head = 0; head < heads; head++) {
      const share = cut(pattern, 0, head, time - 1)
        .slice(1, time - 1)
        .reduce((a, b) => Math.max(a, b), 0);
      if (share > most) [most, found] = [share, [layer, head]];
    }
  });
  return found;
}

/** Queries times keys divided by the root of the head width, for every pair, hidden or not: [row][column]. */
export function rawScores(q: Tensor, k: Tensor, head: number): Float32Array[] {
  const [, , time, width] = q.shape as [number, number, number, number];
  const keys = Array.from({ length: time }, (_, column) => cut(k, 0, head, column));
  return Array.from({ length: time }, (_, row) => {
    const query = cut(q, 0, head, row);
    return Float32Array.from(
      keys,
      (key) => key.reduce((sum, value, i) => sum + value * query[i]!, 0) / Math.sqrt(width),
    );
  });
}
