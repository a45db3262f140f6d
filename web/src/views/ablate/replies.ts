/** Replies of the whole and of the changed fish, cut off where a changed one would go on and on. */

import type { Engine, Gates, Sampling } from "../../engine/types";

export interface Reply {
  readonly ids: readonly number[];
  readonly ended: boolean; // false: cut off, or the context was full
}

export interface ReplyOrder {
  readonly prompt: string;
  readonly seed: number;
  readonly sampling: Sampling;
  readonly gates: Gates | null;
  readonly signal: AbortSignal;
}

export async function say(engine: Engine, { prompt, seed, sampling, gates, signal }: ReplyOrder): Promise<Reply> {
  const own = new AbortController();
  const stop = (): void => own.abort();
  signal.addEventListener("abort", stop);
  const steps = engine.reply({ prompt, seed, sampling, signal: own.signal, ...(gates ? { gates } : {}) });
  const ids: number[] = [];
  try {
    for (;;) {
      const { done, value } = await steps.next();
      if (done) return { ids, ended: value.ended };
      ids.push(value.token);
      if (ids.length >= engine.manifest.tokens.kept_for_reply) own.abort();
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
