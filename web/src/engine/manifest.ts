/** manifest.json of an exported fish: what it holds, and the check that it does. `guppylm export --to onnx` writes it. */

import { trouble } from "../text/trouble";
import { ModelError } from "./error";

export const FORMAT = 1;

export interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly f32_offset: number; // bytes in weights.f32
  readonly q8_offset: number; // bytes in weights.q8: int8 if it has scales, else float32
  readonly scale_offset: number | null; // bytes in weights.q8: a float32 for each row
}

export interface Golden {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly reply: string;
  readonly reply_ids: readonly number[]; // greedy, without the end token
}

export interface Section {
  readonly offset: number; // bytes in seen.bin
  readonly count: number; // hashes of 64 bits, sorted
}

export interface Seen {
  readonly file: string;
  readonly seeds: readonly number[];
  readonly rows: number;
  readonly sections: Readonly<Record<"replies" | "pairs" | "sentences", Section>>;
}

export interface Manifest {
  readonly format: number;
  readonly character: { readonly name: string; readonly title: string };
  readonly prompts: readonly string[];
  readonly model: {
    readonly vocabulary_size: number;
    readonly context: number;
    readonly layers: number;
    readonly width: number;
    readonly heads: number;
    readonly mlp_width: number;
    readonly parameters: number;
  };
  readonly run: {
    readonly steps: number;
    readonly tokens: number | null;
    readonly rows: number;
    readonly seed: number;
    readonly guppylm: string;
  };
  readonly tokens: {
    readonly start: { readonly id: number };
    readonly answer: { readonly id: number };
    readonly end: { readonly id: number };
    readonly known: number; // ids that have a text
    readonly kept_for_reply: number;
  };
  readonly sampling: {
    readonly temperature: number;
    readonly top_k: number;
    readonly top_p: number;
    readonly min_p: number;
  };
  readonly weights: {
    readonly file: string;
    readonly bytes: number;
    readonly f32_bytes: number;
    readonly kl_nats: number | null;
  };
  readonly tensors: readonly Place[];
  readonly golden: readonly Golden[];
  readonly checkpoints: readonly { readonly step: number; readonly tokens: number; readonly file: string }[];
  readonly seen: Seen | null;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

/** metrics.json: the loss curve, the looks at the validation set, the floor. */
export interface Metrics {
  readonly loss: readonly { readonly step: number; readonly tokens: number; readonly loss: number }[];
  readonly looks: readonly {
    readonly step: number;
    readonly tokens: number;
    readonly loss: number;
    readonly gap: number;
  }[];
  readonly floor: number | null;
}

type Check = (value: unknown, path: string) => void;

const fail = (value: unknown, path: string, wanted: string): never => {
  const found = value === undefined ? "missing" : JSON.stringify(value).slice(0, 60);
  throw new ModelError(trouble.field(path || "the whole", found, wanted));
};
const words: Check = (value, path) => void (typeof value === "string" || fail(value, path, "a text"));
const whole: Check = (value, path) =>
  void ((Number.isSafeInteger(value) && (value as number) >= 0) || fail(value, path, "a whole number, 0 or more"));
const positive: Check = (value, path) =>
  void ((Number.isSafeInteger(value) && (value as number) > 0) || fail(value, path, "a whole number above 0"));
const real: Check = (value, path) => void (Number.isFinite(value) || fail(value, path, "a number"));
const maybe =
  (check: Check): Check =>
  (value, path) =>
    void (value === null || value === undefined || check(value, path));
const list =
  (check: Check): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return fail(value, path, "a list");
    value.forEach((item, place) => check(item, `${path}[${place}]`));
  };
const object =
  (fields: Record<string, Check>): Check =>
  (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(value, path, "an object");
    for (const [name, check] of Object.entries(fields)) {
      check((value as Record<string, unknown>)[name], path ? `${path}.${name}` : name);
    }
  };

const section = object({ offset: whole, count: whole });
const check = object({
  character: object({ name: words, title: words }),
  prompts: list(words),
  model: object({
    vocabulary_size: positive,
    context: positive,
    layers: positive,
    width: positive,
    heads: positive,
    mlp_width: positive,
    parameters: positive,
  }),
  run: object({ steps: whole, tokens: maybe(whole), rows: whole, seed: whole, guppylm: words }),
  tokens: object({
    start: object({ id: whole }),
    answer: object({ id: whole }),
    end: object({ id: whole }),
    known: positive,
    kept_for_reply: positive,
  }),
  sampling: object({ temperature: real, top_k: whole, top_p: real, min_p: real }),
  weights: object({ file: words, bytes: positive, f32_bytes: positive, kl_nats: maybe(real) }),
  tensors: list(
    object({ name: words, shape: list(positive), f32_offset: whole, q8_offset: whole, scale_offset: maybe(whole) }),
  ),
  golden: list(object({ prompt: words, prompt_ids: list(whole), reply: words, reply_ids: list(whole) })),
  checkpoints: list(object({ step: whole, tokens: whole, file: words })),
  seen: maybe(
    object({
      file: words,
      seeds: list(whole),
      rows: positive,
      sections: object({ replies: section, pairs: section, sentences: section }),
    }),
  ),
  files: list(object({ path: words, bytes: whole, sha256: words })),
});

/** Parses JSON. Raises ModelError with the file's name. */
export function parsed(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new ModelError(trouble.notJson(file, error instanceof Error ? error.message : String(error)));
  }
}

/** Reads and checks manifest.json. Raises ModelError. */
export function readManifest(content: string): Manifest {
  const value = parsed("manifest.json", content) as Manifest;
  if (!Number.isSafeInteger(value?.format)) fail(value?.format, "format", String(FORMAT));
  if (value.format !== FORMAT) throw new ModelError(trouble.newer(value.format, FORMAT));
  check(value, "");
  const numbers = value.tensors.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
  if (4 * numbers !== value.weights.f32_bytes) fail(value.weights.f32_bytes, "weights.f32_bytes", String(4 * numbers));
  for (const place of value.tensors) {
    const size = place.shape.reduce((product, side) => product * side, 1);
    const scaled = place.scale_offset !== null;
    const inFloats = place.f32_offset + 4 * size <= value.weights.f32_bytes && place.f32_offset % 4 === 0;
    const inBytes =
      place.q8_offset + (scaled ? size : 4 * size) <= value.weights.bytes && (scaled || place.q8_offset % 4 === 0);
    const scales =
      !scaled || (place.scale_offset % 4 === 0 && place.scale_offset + 4 * place.shape[0]! <= value.weights.bytes);
    if (!inFloats || !inBytes || !scales) throw new ModelError(trouble.outside(place.name, value.weights.file));
  }
  return value;
}
