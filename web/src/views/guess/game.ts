/**
 * The guessing game: who put how much on the token that came. `guess.py` once more, for the conversations that the manifest
 * carries; where it carries none, his own replies stand in for them, and only he and the die bet.
 */

import type { Engine, Tokenizer } from "../../engine/types";

export const BETTORS = ["you", "pairs", "untrained", "fish", "floor"] as const;
/** Nats that fill a bar, as in `guppylm guess`; one who knows nothing has about eight. */
export const FULL = 10;

export type Bettor = (typeof BETTORS)[number];

/** [times that the token came after the one before it, times that any did, the token that came most often, how often]. */
type Counted = readonly [number, number, number, number];
/** [what the sheet gives the token, the token to which it gives most]. */
type Expected = readonly [number, number];

export interface Conversation {
  readonly prompt: string;
  readonly reply: string;
  readonly tokens: readonly number[]; // of the reply, with the end
  readonly topic: string;
  readonly turn: string;
  readonly bindings: Readonly<Record<string, string>>;
  readonly pairs: readonly Counted[] | null;
  readonly floor: readonly Expected[] | null;
}

export interface Game {
  readonly k: number; // added to every pair count
  readonly conversations: readonly Conversation[];
  readonly unread: boolean; // none of them stands in what he was trained on
}

/** What a bettor put on the token that came. */
export interface Bet {
  readonly chance: number;
  readonly favourite: number | null; // the token that got most; null where all got the same
}
export type Bets = Partial<Record<Bettor, Bet>>;

/** The player's: a token and how sure, or null for none. */
export type Stake = { readonly token: number; readonly sure: number } | null;

export interface Score {
  readonly nats: number;
  readonly tokens: number;
  readonly hits: number; // times that the favourite came
}

const numbers = (value: unknown, length: number, size: number): boolean =>
  Array.isArray(value) &&
  value.length === length &&
  value.every((row) => Array.isArray(row) && row.length === size && row.every(Number.isFinite));

/** The game of this fish. A `game` that does not fit the model counts as none. */
export function gameOf({ manifest, tokenizer }: Engine): Game {
  const told = (manifest as { game?: unknown }).game as Partial<Game> | null | undefined;
  const fits = (one: Conversation): boolean =>
    [one.prompt, one.reply, one.topic, one.turn].every((text) => typeof text === "string") &&
    one.tokens.join() === [...tokenizer.encode(one.reply), tokenizer.end].join() &&
    numbers(one.pairs, one.tokens.length, 4) &&
    (one.floor === null || numbers(one.floor, one.tokens.length, 2));
  try {
    if (told && Number.isFinite(told.k) && told.conversations!.length > 0 && told.conversations!.every(fits)) {
      return { k: told.k!, conversations: told.conversations!, unread: true };
    }
  } catch {
    // not even its outline is right
  }
  const own = manifest.golden.map(({ prompt, reply, reply_ids }) => {
    return {
      prompt,
      reply,
      tokens: [...reply_ids, tokenizer.end],
      topic: "",
      turn: "",
      bindings: {},
      pairs: null,
      floor: null,
    };
  });
  return { k: 0, conversations: own, unread: false };
}

/** Everybody's bet on one token. `shares` is what the fish expected there. */
export function betsOn(game: Game, one: Conversation, place: number, shares: Float64Array, stake: Stake): Bets {
  const token = one.tokens[place]!;
  const size = shares.length;
  const counted = one.pairs?.[place];
  const expected = one.floor?.[place];
  const missed = stake ? (1 - stake.sure) / (size - 1) : 1 / size;
  return {
    you: { chance: stake?.token === token ? stake.sure : missed, favourite: stake?.token ?? null },
    ...(counted && { pairs: { chance: (counted[0] + game.k) / (counted[1] + game.k * size), favourite: counted[2] } }),
    untrained: { chance: 1 / size, favourite: null },
    fish: { chance: shares[token]!, favourite: shares.indexOf(shares.reduce((a, b) => Math.max(a, b), 0)) },
    ...(expected && { floor: { chance: expected[0], favourite: expected[1] } }),
  };
}

/** The surprise at something that had this chance, in nats. */
export function surprise(chance: number): number {
  return -Math.log(chance);
}

export function scores(bets: readonly Bets[], tokens: readonly number[]): Partial<Record<Bettor, Score>> {
  const found: Partial<Record<Bettor, Score>> = {};
  for (const bettor of BETTORS) {
    const placed = bets.map((bet) => bet[bettor]).filter((bet) => bet !== undefined);
    if (!placed.length) continue;
    const nats = placed.reduce((sum, { chance }) => sum + surprise(chance), 0);
    const hits = placed.filter(({ favourite }, place) => favourite === tokens[place]).length;
    found[bettor] = { nats, tokens: placed.length, hits };
  }
  return found;
}

/** The fair die that is as unsure: perplexity. */
export function sides({ nats, tokens }: Score): number {
  return Math.exp(nats / tokens);
}

/**
 * The token that a typed guess begins with, written on behind `said`: with a space or without, whichever the fish finds
 * likelier. Null if the letters before would be chopped otherwise with it.
 */
export function meant(
  tokenizer: Tokenizer,
  said: readonly number[],
  guess: string,
  shares: Float64Array,
): number | null {
  const text = tokenizer.decode(said);
  const readings = ["", " "]
    .map((between) => tokenizer.encode(text + between + guess.trim()))
    .filter((ids) => ids.length > said.length && said.every((id, place) => ids[place] === id))
    .map((ids) => ids[said.length]!);
  return readings.length ? readings.reduce((a, b) => (shares[b]! > shares[a]! ? b : a)) : null;
}
