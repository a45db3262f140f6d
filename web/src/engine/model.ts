/** The model in the worker: its files, its sessions, and what is computed with them. */

import { trouble } from "../text/trouble";
import { ModelError } from "./error";
import { readFile, verified, type Source } from "./files";
import type { Manifest } from "./manifest";
import { ort, session } from "./runtime";
import { dequantised } from "./weights";
import { allOn, type Gates, type Look, type LookRequest, type Tensor } from "./types";

/** One set of weights with the sessions that use it, made when first needed. */
class Weights {
  #chat: Promise<ort.InferenceSession> | undefined;
  #glass: Promise<ort.InferenceSession> | undefined;

  constructor(
    readonly numbers: Float32Array<ArrayBuffer>,
    private readonly graphs: Graphs,
  ) {}

  get chat(): Promise<ort.InferenceSession> {
    return (this.#chat ??= session("chat.onnx", this.graphs.chat, this.numbers));
  }

  get glass(): Promise<ort.InferenceSession> {
    return (this.#glass ??= session("glass.onnx", this.graphs.glass, this.numbers));
  }

  async release(): Promise<void> {
    await (await this.#chat)?.release();
    await (await this.#glass)?.release();
  }
}

interface Graphs {
  readonly chat: Uint8Array;
  readonly glass: Uint8Array;
}

/** What has been read so far, for the next token: keys and values of all layers. */
export interface Cache {
  readonly length: number;
  readonly past: ort.Tensor;
}

export class Model {
  #younger: { step: number; weights: Promise<Weights> } | undefined; // one checkpoint at a time: each takes 35 MB and more

  private constructor(
    private readonly source: Source,
    readonly manifest: Manifest,
    private readonly graphs: Graphs,
    private readonly grown: Weights,
    readonly seen: Uint8Array<ArrayBuffer> | null,
  ) {}

  /** Reads all that a first reply needs, and tries it. Raises ModelError. */
  static async open(source: Source, manifest: Manifest): Promise<Model> {
    const read = async (name: string): Promise<Uint8Array<ArrayBuffer>> =>
      verified(name, await readFile(source, name), manifest.files);
    const [chat, glass, blob, seen] = await Promise.all([
      read("chat.onnx"),
      read("glass.onnx"),
      read(manifest.weights.file),
      manifest.seen ? read(manifest.seen.file) : null,
    ]);
    const graphs = { chat, glass };
    const weights = new Weights(dequantised(blob, manifest.tensors, manifest.weights.f32_bytes), graphs);
    const model = new Model(source, manifest, graphs, weights, seen);
    try {
      await model.next([manifest.tokens.start.id]); // a graph that does not fit says so now
    } catch (error) {
      throw error instanceof ModelError ? error : new ModelError(trouble.graph("chat.onnx", String(error)));
    }
    return model;
  }

  async #weights(checkpoint?: number): Promise<Weights> {
    const entry = this.manifest.checkpoints.find(({ step }) => step === checkpoint);
    if (checkpoint === undefined || entry?.file === this.manifest.weights.file) return this.grown;
    if (!entry) throw new ModelError(trouble.noCheckpoint(checkpoint));
    if (this.#younger?.step !== checkpoint) {
      void this.#younger?.weights.then((old) => old.release()).catch(() => undefined);
      const weights = readFile(this.source, entry.file)
        .then((bytes) => verified(entry.file, bytes, this.manifest.files))
        .then(
          (blob) => new Weights(dequantised(blob, this.manifest.tensors, this.manifest.weights.f32_bytes), this.graphs),
        );
      this.#younger = { step: checkpoint, weights };
      weights.catch(() => (this.#younger = undefined));
    }
    return this.#younger.weights;
  }

  /** The logits after `ids`, which continue what the cache holds, and the cache of both. */
  async read(
    ids: readonly number[],
    cache: Cache | null,
    checkpoint?: number,
  ): Promise<{ logits: Float32Array; cache: Cache }> {
    const { layers, heads, width, context } = this.manifest.model;
    const length = (cache?.length ?? 0) + ids.length;
    if (!ids.length) throw new ModelError(trouble.nothing);
    if (length > context) throw new ModelError(trouble.tooLong(length, context));
    const past = cache?.past ?? new ort.Tensor("float32", new Float32Array(0), [layers, 2, 1, heads, 0, width / heads]);
    const chat = await (await this.#weights(checkpoint)).chat;
    const { logits, present } = await chat.run({ ids: integers([ids]), past });
    return { logits: logits!.data as Float32Array, cache: { length, past: present! } };
  }

  async next(ids: readonly number[], checkpoint?: number): Promise<Float32Array> {
    return (await this.read(ids, null, checkpoint)).logits;
  }

  async look({ ids, want, gates, causal = true, positions = true, checkpoint }: LookRequest): Promise<Look> {
    const { layers, heads, context } = this.manifest.model;
    if (!ids.length) throw new ModelError(trouble.nothing);
    if (ids.length > context) throw new ModelError(trouble.tooLong(ids.length, context));
    const glass = await (await this.#weights(checkpoint)).glass;
    const missing = want.find((name) => !glass.outputNames.includes(name));
    if (missing !== undefined) throw new ModelError(trouble.noActivation(missing));
    const rows: readonly Gates[] = gates?.length ? gates : [allOn(layers, heads)];
    const found = await glass.run(
      {
        ids: integers(rows.map(() => ids)),
        heads: floats(
          rows.flatMap((row) => row.heads.flat()),
          [rows.length, layers, heads],
        ),
        mlps: floats(
          rows.flatMap((row) => row.mlps),
          [rows.length, layers],
        ),
        causal: floats([causal ? 1 : 0], []),
        positions_on: floats([positions ? 1 : 0], []),
      },
      want,
    );
    return Object.fromEntries(want.map((name) => [name, plain(found[name]!)]));
  }

  async weight(name: string, checkpoint?: number): Promise<Tensor> {
    const place = this.manifest.tensors.find((one) => one.name === name);
    if (!place) throw new ModelError(trouble.noWeight(name));
    const { numbers } = await this.#weights(checkpoint);
    const size = place.shape.reduce((product, side) => product * side, 1);
    return { shape: place.shape, data: numbers.subarray(place.f32_offset / 4, place.f32_offset / 4 + size) };
  }
}

function integers(rows: readonly (readonly number[])[]): ort.Tensor {
  return new ort.Tensor("int64", BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]!.length]);
}

function floats(numbers: readonly number[], shape: readonly number[]): ort.Tensor {
  return new ort.Tensor("float32", Float32Array.from(numbers), shape);
}

function plain(tensor: ort.Tensor): Tensor {
  return { shape: tensor.dims, data: tensor.data as Float32Array };
}
