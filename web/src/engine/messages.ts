/** What page and worker say to each other. Every order has a number; answers carry it. */

import type { Source } from "./files";
import type { ReplyOrder } from "./reply";
import type { Kind, LensOptions, LensResult, Look, LookRequest, ReplyEnd, Step, Tensor } from "./types";

/** Where the runtime's WebAssembly comes from: an address, or gzip in base64 out of the page itself. */
export type Runtime = { readonly address: string } | { readonly inside: string };

export interface Opened {
  readonly manifest: string;
  readonly tokenizer: string;
  readonly metrics: string | null;
  readonly counts: string | null;
}

/** Each kind of order with what is asked and what comes back. */
export interface Orders {
  open: { ask: { source: Source; runtime: Runtime }; answer: Opened };
  reply: { ask: ReplyOrder; answer: ReplyEnd | null }; // steps come before it; null if it was stopped
  next: { ask: { ids: readonly number[]; checkpoint?: number }; answer: Float32Array };
  look: { ask: LookRequest; answer: Look };
  lens: { ask: { ids: readonly number[]; options: LensOptions }; answer: LensResult };
  weight: { ask: { name: string; checkpoint?: number }; answer: Tensor };
  remember: { ask: string; answer: Kind | null };
}

export type Order = {
  [K in keyof Orders]: { readonly number: number; readonly kind: K; readonly ask: Orders[K]["ask"] };
}[keyof Orders];
export type Incoming = Order | { readonly number: number; readonly kind: "stop" };
export type Answer =
  | { readonly number: number; readonly step: Step }
  | { readonly number: number; readonly answer: unknown }
  | { readonly number: number; readonly error: string; readonly ours: boolean };
