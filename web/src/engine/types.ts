/**
 * What a view can ask of the fish. Numbers come from two graphs that share one buffer of weights:
 * `chat.onnx` (a cache, the logits of the last token) and `glass.onnx` (every named activation).
 * Both run in a worker, so what computes returns a promise; tokenizer and facts answer at once.
 */

import type { Manifest, Metrics } from "./manifest";

/** A row-major array of numbers with its shape: element [i, j] of a (rows, columns) tensor is data[i * columns + j]. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** How the next token is chosen; the same names, order and meaning as `inference/sampling.py`. */
export interface Sampling {
  temperature: number; // 0: always the likeliest
  top_k: number; // 0: off
  top_p: number; // 1: off
  min_p: number; // 0: off
}

/** A possible next token. `chance` is what the model gives it (temperature 1, no filter). */
export interface Guess {
  readonly token: number;
  readonly chance: number;
}

/** One drawn token of a reply. */
export interface Step {
  readonly token: number;
  readonly chance: number; // of the model: softmax of the logits
  readonly drawn: number; // after temperature and filters: what the dice really used; 1 where temperature is 0
  readonly alternatives: readonly Guess[]; // the ten likeliest, likeliest first
  readonly forced: boolean; // given by `said`, not drawn
  readonly milliseconds: number; // computing and drawing it
}

export interface ReplyRequest {
  readonly prompt: string;
  readonly sampling: Sampling;
  readonly seed: number; // 0 to 4294967295; the same seed gives the same reply
  readonly said?: readonly number[]; // begins the reply; each of them uses up its draw, so the rest stays in step
  readonly gates?: Gates; // parts switched off; slower, since the graph with gates has no cache
  readonly checkpoint?: number; // a step of manifest.checkpoints
  readonly signal?: AbortSignal; // stops it: the iteration then ends early
  readonly recompute?: boolean; // read everything again for each token, without the cache: only to be timed
}

/** The parts of the model that are on: 1 as it is, 0 switched off, (layer, head) and (layer). `allOn` makes one. */
export interface Gates {
  readonly heads: readonly (readonly number[])[];
  readonly mlps: readonly number[];
}

export interface LookRequest {
  readonly ids: readonly number[]; // one text; `engine.tokenizer.render(prompt, said)` makes it
  /**
   * The activations wanted, by the names of `interpretability/lens.py`: "embedded", "blocks.2.attention.pattern",
   * "blocks.0.residual", "logits" ... ; ask only for what is shown: copying is what costs.
   */
  readonly want: readonly string[];
  readonly gates?: readonly Gates[]; // one for each row of the batch; nothing: one row, all on
  readonly causal?: boolean; // false takes the mask away
  readonly positions?: boolean; // false takes the position embeddings away
  readonly checkpoint?: number;
}

/** What the model held. Each tensor has a batch dimension first: (batch, heads, time, time) for a pattern, and so on. */
export type Look = Readonly<Record<string, Tensor>>;

/** The logit lens: at each stage and position the likeliest next tokens if the model ended there. */
export interface LensResult {
  readonly stages: readonly string[]; // "embedded", "blocks.0.residual_middle", "blocks.0.residual", ...
  readonly guesses: readonly (readonly (readonly Guess[])[])[]; // [stage][position][rank]
  readonly tracked: readonly (readonly (readonly number[])[])[]; // [stage][position][place in `track`]: that token's chance
}

export interface LensOptions {
  readonly count?: number; // guesses for each cell; 5 if not said
  readonly track?: readonly number[]; // tokens whose chance is wanted in every cell
  readonly gates?: Gates;
  readonly checkpoint?: number;
}

export type Kind = "remembered" | "recombined" | "invented";

/** One merge of two neighbours while a word is put together from its bytes. */
export interface Merge {
  readonly at: number; // place of the left one among the pieces before the merge
  readonly rank: number; // which merge of training it is: 0 was learnt first
  readonly pieces: readonly string[]; // all pieces of the word after it, readable
}

export interface Tokenizer {
  readonly size: number; // tokens that have a text; rows of the embedding beyond them have none
  readonly start: number;
  readonly answer: number;
  readonly end: number;
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
  /** start, the prompt (its beginning left out if it is too long), answer, and what was said. */
  render(prompt: string, said?: readonly number[]): { ids: number[]; leftOut: number };
  /** A token as `token_text` of Python writes it: ␣ is a space, ␤ a line end, [4095] an id that no token has. */
  label(id: number): string;
  /** How BPE puts each word of `text` together, merge by merge. `lowercase: false` leaves the normalizer's lowercasing out. */
  replay(
    text: string,
    options?: { lowercase?: boolean },
  ): { word: string; bytes: string[]; merges: Merge[]; ids: number[] }[];
}

export interface Engine {
  readonly manifest: Manifest;
  readonly tokenizer: Tokenizer;
  readonly metrics: Metrics | null;
  /** How often training saw each token id; null if the folder has no counts.json. */
  readonly counts: readonly number[] | null;

  /** Streams a reply. Ends with the end token (not part of it), a full context, or the signal. */
  reply(request: ReplyRequest): AsyncGenerator<Step, ReplyEnd>;
  /** Logits (vocabulary) for the token after `ids`. */
  next(ids: readonly number[], checkpoint?: number): Promise<Float32Array>;
  /** Activations by name: see LookRequest. */
  look(request: LookRequest): Promise<Look>;
  /** The logit lens over `ids`. */
  lens(ids: readonly number[], options?: LensOptions): Promise<LensResult>;
  /** A weight by its name in the state dict: "blocks.0.attention.output.weight", "final_norm.bias", ... */
  weight(name: string, checkpoint?: number): Promise<Tensor>;
  /** Whether the reply stands in what was trained on; null if the folder can't tell. */
  remember(reply: string): Promise<Kind | null>;
}

/** What is known once a reply is over. */
export interface ReplyEnd {
  readonly ended: boolean; // false: stopped, or the context was full
  readonly endChance: number | null; // of the end token where it was drawn
  readonly alternatives: readonly Guess[]; // at the last place, where the end token was drawn
}

/** Gates with every part on. */
export function allOn(layers: number, heads: number): { heads: number[][]; mlps: number[] } {
  return {
    heads: Array.from({ length: layers }, () => Array<number>(heads).fill(1)),
    mlps: Array<number>(layers).fill(1),
  };
}
