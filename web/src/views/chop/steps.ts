/** The merges of a text as one film: a step for each merge, word by word, from bytes to tokens. */

import type { Tokenizer } from "../../engine/types";

type Word = ReturnType<Tokenizer["replay"]>[number];

export interface Piece {
  readonly label: string;
  readonly bytes: readonly string[]; // readable
  readonly fresh: boolean; // made by the step that is shown
  readonly next: boolean; // one of the two that the next step joins
}

export interface Film {
  readonly steps: number;
  /** Each word as it is after `step` merges of the text. */
  readonly words: readonly (readonly Piece[])[];
  /** The merge that was made last, and the one that comes. */
  readonly last: Joined | null;
  readonly coming: Joined | null;
}

export interface Joined {
  readonly left: string;
  readonly right: string;
  readonly made: string;
  readonly rank: number; // of the rule: 0 was learnt first
}

export function steps(words: readonly Word[]): number {
  return words.reduce((sum, { merges }) => sum + merges.length, 0);
}

/** The text after `step` merges. */
export function film(words: readonly Word[], step: number): Film {
  const all = steps(words);
  let before = 0;
  let last: Joined | null = null;
  let coming: Joined | null = null;
  const shown = words.map((word) => {
    const done = Math.max(0, Math.min(word.merges.length, step - before));
    const freshHere = done > 0 && step - before === done && step < all;
    const nextHere = done < word.merges.length && step - before === done && step >= before;
    before += word.merges.length;
    if (freshHere) last = joined(word, done - 1);
    if (nextHere) coming = joined(word, done);
    return pieces(word, done, freshHere, nextHere);
  });
  return { steps: before, words: shown, last, coming };
}

/** The pieces of a word after its first `done` merges. */
function pieces(word: Word, done: number, freshHere = false, nextHere = false): Piece[] {
  let found = word.bytes.map((byte) => [byte]);
  for (const { at } of word.merges.slice(0, done))
    found = [...found.slice(0, at), [...found[at]!, ...found[at + 1]!], ...found.slice(at + 2)];
  const labels = done ? word.merges[done - 1]!.pieces : word.bytes;
  const fresh = freshHere ? word.merges[done - 1]!.at : -1;
  const next = nextHere ? word.merges[done]!.at : -2;
  return found.map((bytes, at) => ({
    label: labels[at]!,
    bytes,
    fresh: at === fresh,
    next: at === next || at === next + 1,
  }));
}

function joined(word: Word, number: number): Joined {
  const { at, rank, pieces } = word.merges[number]!;
  const before = number ? word.merges[number - 1]!.pieces : word.bytes;
  return { left: before[at]!, right: before[at + 1]!, made: pieces[at]!, rank };
}

/** The tokens that come out, each with its bytes. */
export function tokens(words: readonly Word[]): { id: number; label: string; bytes: readonly string[] }[] {
  return words.flatMap((word) =>
    pieces(word, word.merges.length).map(({ label, bytes }, at) => ({ id: word.ids[at]!, label, bytes })),
  );
}
