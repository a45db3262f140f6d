/** The same question at each age of the fish: its reply, and where its heads look. One age after the other is asked. */

import { softmax, likeliest } from "../../engine/sampling";
import type { Engine, Kind, Sampling, Step, Tensor } from "../../engine/types";
import { idsOf } from "../parts/reading";
import type { Shared } from "../../state.svelte";

const LONGEST = 40; // tokens: a young one never ends

/** Weights that can be asked: a checkpoint, or the present ones. */
export interface Age {
  readonly step: number;
  readonly tokens: number | null; // read in training until then
  readonly checkpoint: number | undefined;
  readonly grown: boolean;
}

/** What it was asked, and what came of it. */
export interface Asked {
  readonly key: string;
  readonly said: readonly Step[];
  readonly text: string;
  readonly ended: boolean;
  readonly kind: Kind | null;
  readonly patterns: readonly Tensor[]; // of each layer, over the prompt: (1, heads, time, time looked at)
  readonly ids: readonly number[];
  readonly first: { readonly token: number; readonly chance: number }; // the likeliest first token
}

export function agesOf({ manifest }: Engine): Age[] {
  const { checkpoints, weights, run } = manifest;
  const kept = checkpoints.map(({ step, tokens, file }) => {
    const grown = file === weights.file;
    return { step, tokens, checkpoint: grown ? undefined : step, grown };
  });
  return kept.some(({ grown }) => grown)
    ? kept
    : [...kept, { step: run.steps, tokens: run.tokens, checkpoint: undefined, grown: true }];
}

/** The question as it stands in the address: what depends on it is asked again when it changes. */
export function question(shared: Shared): { text: string; seed: number; sampling: Sampling; key: string } {
  const { text, seed } = shared;
  const sampling = { ...shared.sampling };
  return { text, seed, sampling, key: JSON.stringify([text, seed, sampling]) };
}

export class Childhood {
  /** By the place of the age. An answer to an older question stays until the new one is there. */
  found = $state.raw<readonly (Asked | undefined)[]>([]);
  error = $state.raw<Error>();

  constructor(
    private readonly engine: Engine,
    readonly ages: readonly Age[],
  ) {
    this.found = ages.map(() => undefined);
  }

  /** Asks those ages that have not been asked this yet; the ages in the order of `order`. */
  async ask(
    shared: Shared,
    asked: ReturnType<typeof question>,
    order: readonly number[],
    signal: AbortSignal,
  ): Promise<void> {
    this.error = undefined;
    const ids = idsOf(this.engine, { ...shared, text: asked.text, said: [] } as unknown as Shared);
    for (const place of order) {
      if (this.found[place]?.key === asked.key) continue;
      try {
        const answer = await this.#answer(this.ages[place]!, asked, ids, signal);
        if (signal.aborted) return;
        this.found = this.found.with(place, answer);
      } catch (error) {
        if (!signal.aborted) this.error = error instanceof Error ? error : new Error(String(error));
        return;
      }
    }
  }

  async #answer(
    { checkpoint }: Age,
    { text, seed, sampling, key }: ReturnType<typeof question>,
    ids: readonly number[],
    signal: AbortSignal,
  ): Promise<Asked> {
    const { layers, vocabulary_size: size } = this.engine.manifest.model;
    const at = checkpoint === undefined ? {} : { checkpoint };
    const names = Array.from({ length: layers }, (_, layer) => `blocks.${layer}.attention.pattern`);
    const look = await this.engine.look({ ids, want: [...names, "logits"], ...at });
    const logits = look["logits"]!.data.slice(-size);
    const token = likeliest(logits);
    const said: Step[] = [];
    const steps = this.engine.reply({ prompt: text, seed, sampling, signal, ...at });
    let ended = false;
    while (said.length < LONGEST) {
      const { done, value } = await steps.next();
      if (done) {
        ended = value.ended;
        break;
      }
      said.push(value);
    }
    await steps.return({ ended: false, endChance: null, alternatives: [] });
    const reply = this.engine.tokenizer.decode(said.map((step) => step.token));
    return {
      key,
      said,
      text: reply,
      ended,
      kind: ended ? await this.engine.remember(reply) : null,
      patterns: names.map((name) => look[name]!),
      ids,
      first: { token, chance: softmax(logits)[token]! },
    };
  }
}
