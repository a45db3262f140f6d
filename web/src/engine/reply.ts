/** A reply, token by token: the prompt is read once, then each new token is drawn and fed back through the cache. */

import type { Cache, Model } from "./model";
import { Random } from "./random";
import { best, draw, drawable, softmax } from "./sampling";
import type { Gates, ReplyEnd, ReplyRequest, Step } from "./types";

const ALTERNATIVES = 10;

/** What the worker needs of a request: the prompt as ids, and nothing that can't be sent to it. */
export interface ReplyOrder extends Omit<ReplyRequest, "prompt" | "signal"> {
  readonly ids: readonly number[];
}

export async function* reply(model: Model, order: ReplyOrder): AsyncGenerator<Step, ReplyEnd> {
  const { context } = model.manifest.model;
  const { id: end } = model.manifest.tokens.end;
  const random = new Random(order.seed);
  const reader = readerOf(model, order);
  const said: number[] = [];
  let started = performance.now();
  let logits = await reader(order.ids);
  for (;;) {
    const shares = softmax(logits);
    const drawnFrom = drawable(logits, order.sampling);
    const drawn = draw(drawnFrom, random);
    const forced = said.length < (order.said?.length ?? 0);
    const token = forced ? order.said![said.length]! : drawn;
    const alternatives = best(shares, ALTERNATIVES);
    if (token === end) return { ended: true, endChance: shares[end]!, alternatives };
    const milliseconds = performance.now() - started;
    yield { token, chance: shares[token]!, drawn: drawnFrom[token]!, alternatives, forced, milliseconds };
    said.push(token);
    if (order.ids.length + said.length > context) return { ended: false, endChance: null, alternatives: [] };
    started = performance.now();
    logits = await reader([token]);
  }
}

/** A function that reads on and gives the logits of the next token: with a cache, or everything again each time. */
function readerOf(
  model: Model,
  { gates, checkpoint, recompute }: ReplyOrder,
): (ids: readonly number[]) => Promise<Float32Array> {
  let all: number[] = [];
  let cache: Cache | null = null;
  if (gates) {
    return async (ids) => {
      all = [...all, ...ids];
      return lastLogits(model, all, gates, checkpoint);
    };
  }
  return async (ids) => {
    all = [...all, ...ids];
    if (recompute) return model.next(all, checkpoint);
    const read = await model.read(ids, cache, checkpoint);
    cache = read.cache;
    return read.logits;
  };
}

async function lastLogits(
  model: Model,
  ids: readonly number[],
  gates: Gates,
  checkpoint?: number,
): Promise<Float32Array> {
  const { logits } = await model.look({
    ids,
    want: ["logits"],
    gates: [gates],
    ...(checkpoint === undefined ? {} : { checkpoint }),
  });
  return logits!.data.slice(-model.manifest.model.vocabulary_size);
}
