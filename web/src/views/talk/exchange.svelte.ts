/** One exchange: what a person said, and the reply as it comes. */

import type { Engine, Kind, ReplyEnd, Sampling, Step } from "../../engine/types";

export interface Plan {
  readonly prompt: string;
  readonly seed: number;
  readonly sampling: Sampling;
  readonly said: readonly number[]; // how the reply begins
  readonly branchedAt?: number; // at which token somebody took another way, counted from 1
}

export class Exchange {
  steps = $state.raw<readonly Step[]>([]);
  end = $state.raw<ReplyEnd>();
  kind = $state<Kind | null>(null);
  error = $state.raw<Error>();
  stopped = $state(false);
  readonly #abort = new AbortController();

  constructor(
    readonly key: number,
    readonly plan: Plan,
    private readonly engine: Engine,
  ) {}

  get ids(): number[] {
    return this.steps.map((step) => step.token);
  }

  get text(): string {
    return this.engine.tokenizer.decode(this.ids);
  }

  get over(): boolean {
    return this.end !== undefined || this.error !== undefined;
  }

  /** Tokens a second, without the first, which waits for the whole prompt. */
  get speed(): number | null {
    const drawn = this.steps.slice(1);
    const spent = drawn.reduce((sum, step) => sum + step.milliseconds, 0);
    return drawn.length ? (1000 * drawn.length) / spent : null;
  }

  /** Runs until the reply is over. Errors are kept, not thrown. */
  async run(): Promise<void> {
    const { prompt, seed, sampling, said } = this.plan;
    const steps = this.engine.reply({ prompt, seed, sampling, said, signal: this.#abort.signal });
    try {
      for (;;) {
        const { done, value } = await steps.next();
        if (done) {
          this.end = value;
          break;
        }
        this.steps = [...this.steps, value];
      }
      if (this.end.ended) this.kind = await this.engine.remember(this.text);
    } catch (error) {
      this.error = error instanceof Error ? error : new Error(String(error));
    }
  }

  stop(): void {
    if (!this.over) this.stopped = true;
    this.#abort.abort();
  }
}
