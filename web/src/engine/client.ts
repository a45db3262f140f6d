/** The engine as the page sees it: orders to a worker of its own, and the tokenizer. */

import { trouble } from "../text/trouble";
import { ModelError } from "./error";
import type { Source } from "./files";
import { parsed, readManifest, type Manifest, type Metrics } from "./manifest";
import type { Answer, Incoming, Opened, Orders, Runtime } from "./messages";
import { ChatTokenizer } from "./tokenizer";
import type {
  Engine,
  Kind,
  LensOptions,
  LensResult,
  Look,
  LookRequest,
  ReplyEnd,
  ReplyRequest,
  Step,
  Tensor,
} from "./types";

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  step?(step: Step): void;
}

/** Opens a model in a worker of its own, so that one that can't be opened leaves another as it is. Raises ModelError. */
export async function openEngine(
  makeWorker: () => Worker | Promise<Worker>,
  source: Source,
  runtime: Runtime,
): Promise<Tank> {
  const line = new Line(await makeWorker());
  try {
    const opened = (await line.order("open", { source, runtime })) as Opened;
    return new Tank(line, opened);
  } catch (error) {
    line.close();
    throw error;
  }
}

/** Orders by number, and who waits for which. */
class Line {
  #number = 0;
  readonly #waiting = new Map<number, Waiting>();

  constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault();
      for (const waiting of this.#waiting.values()) waiting.reject(new ModelError(trouble.runtime(event.message)));
      this.#waiting.clear();
    };
  }

  #take(data: Answer): void {
    const waiting = this.#waiting.get(data.number);
    if (!waiting) return;
    if ("step" in data) return waiting.step?.(data.step);
    this.#waiting.delete(data.number);
    if ("error" in data) waiting.reject(data.ours ? new ModelError(data.error) : new Error(data.error));
    else waiting.resolve(data.answer);
  }

  order<K extends keyof Orders>(
    kind: K,
    ask: Orders[K]["ask"],
    step?: (step: Step) => void,
  ): Promise<Orders[K]["answer"]> {
    const number = this.#number++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, {
        resolve: (answer) => resolve(answer as Orders[K]["answer"]),
        reject,
        ...(step ? { step } : {}),
      });
      this.worker.postMessage({ number, kind, ask } as Incoming);
    });
  }

  /** The number that the next order will have, to stop it. */
  get upcoming(): number {
    return this.#number;
  }

  stop(number: number): void {
    this.worker.postMessage({ number, kind: "stop" } satisfies Incoming);
  }

  close(): void {
    this.worker.terminate();
    for (const waiting of this.#waiting.values()) waiting.reject(new Error("closed"));
    this.#waiting.clear();
  }
}

export class Tank implements Engine {
  readonly manifest: Manifest;
  readonly tokenizer: ChatTokenizer;
  readonly metrics: Metrics | null;
  readonly counts: readonly number[] | null;

  constructor(
    private readonly line: Line,
    opened: Opened,
  ) {
    this.manifest = readManifest(opened.manifest);
    this.tokenizer = new ChatTokenizer(opened.tokenizer, this.manifest);
    this.metrics = opened.metrics === null ? null : (parsed("metrics.json", opened.metrics) as Metrics);
    this.counts = opened.counts === null ? null : (parsed("counts.json", opened.counts) as number[]);
  }

  async *reply({ prompt, signal, ...rest }: ReplyRequest): AsyncGenerator<Step, ReplyEnd> {
    const { ids } = this.tokenizer.render(prompt);
    const steps: Step[] = [];
    let wake = (): void => undefined;
    const number = this.line.upcoming;
    const stop = (): void => this.line.stop(number);
    let end: ReplyEnd | null | undefined;
    let failed: Error | undefined;
    this.line
      .order("reply", plain({ ...rest, ids }), (step) => {
        steps.push(step);
        wake();
      })
      .then(
        (answer) => (end = answer),
        (error: unknown) => (failed = error as Error),
      )
      .finally(() => wake());
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      for (;;) {
        while (steps.length && !signal?.aborted) yield steps.shift()!;
        if (failed) throw failed;
        if (end !== undefined || signal?.aborted) return end ?? { ended: false, endChance: null, alternatives: [] };
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      if (end === undefined && !failed) stop();
    }
  }

  next(ids: readonly number[], checkpoint?: number): Promise<Float32Array> {
    return this.line.order("next", plain({ ids, ...(checkpoint === undefined ? {} : { checkpoint }) }));
  }

  look(request: LookRequest): Promise<Look> {
    return this.line.order("look", plain(request));
  }

  lens(ids: readonly number[], options: LensOptions = {}): Promise<LensResult> {
    return this.line.order("lens", plain({ ids, options }));
  }

  weight(name: string, checkpoint?: number): Promise<Tensor> {
    return this.line.order("weight", { name, ...(checkpoint === undefined ? {} : { checkpoint }) });
  }

  remember(reply: string): Promise<Kind | null> {
    return this.line.order("remember", reply);
  }

  close(): void {
    this.line.close();
  }
}

/** A copy that can be sent: reactive state of a view can't be cloned. Orders hold nothing but numbers, texts and lists. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
