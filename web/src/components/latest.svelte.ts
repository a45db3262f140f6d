/** A value that is computed elsewhere and takes a while: the newest counts, one at a time. */

import { untrack } from "svelte";

export interface Latest<T> {
  /** Undefined until the first is there; the old one stays while a new one is computed. */
  readonly value: T | undefined;
  readonly busy: boolean;
  readonly error: Error | undefined;
}

/**
 * Calls `compute(inputs())` again whenever what `inputs` reads has changed. While one call runs the next waits, and of
 * several that wait only the last is made. To be called while a component is made.
 */
export function latest<I, T>(inputs: () => I, compute: (inputs: I) => Promise<T>): Latest<T> {
  let value = $state.raw<T>();
  let error = $state.raw<Error>();
  let busy = $state(false);
  let waiting: { inputs: I } | undefined;

  async function work(): Promise<void> {
    busy = true;
    while (waiting) {
      const next = waiting;
      waiting = undefined;
      try {
        const found = await compute(next.inputs);
        value = found;
        error = undefined;
      } catch (problem) {
        error = problem instanceof Error ? problem : new Error(String(problem));
      }
    }
    busy = false;
  }

  $effect(() => {
    waiting = { inputs: inputs() };
    untrack(() => {
      if (!busy) void work();
    });
    return () => (waiting = undefined);
  });

  return {
    get value() {
      return value;
    },
    get busy() {
      return busy;
    },
    get error() {
      return error;
    },
  };
}
