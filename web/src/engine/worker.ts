/** The engine room: everything that computes. Orders are carried out one after the other, in the order in which they came. */

import { trouble } from "../text/trouble";
import { ModelError } from "./error";
import { gunzipped, readFile, unpacked, verified } from "./files";
import { lens } from "./lens";
import { parsed, readManifest } from "./manifest";
import type { Answer, Incoming, Opened, Order, Orders, Runtime } from "./messages";
import { Model } from "./model";
import { reply } from "./reply";
import { start } from "./runtime";
import { kindOf } from "./seen";

const page = globalThis as unknown as {
  postMessage(message: Answer): void;
  onmessage: ((event: MessageEvent<Incoming>) => void) | null;
};

let model: Model | undefined;
let queue: Promise<void> = Promise.resolve();
const stopped = new Set<number>();

page.onmessage = ({ data }) => {
  if (data.kind === "stop") stopped.add(data.number);
  else queue = queue.then(() => carryOut(data));
};

async function carryOut(order: Order): Promise<void> {
  const { number } = order;
  try {
    const answer: unknown = await answerTo(order);
    page.postMessage({ number, answer });
  } catch (error) {
    const ours = error instanceof ModelError;
    page.postMessage({ number, ours, error: error instanceof Error ? error.message : String(error) });
  }
  stopped.delete(number);
}

async function answerTo(order: Order): Promise<Orders[keyof Orders]["answer"]> {
  if (order.kind === "open") return open(order.ask);
  if (!model) throw new Error("no model is open");
  switch (order.kind) {
    case "reply":
      return say(model, order.number, order.ask);
    case "next":
      return model.next(order.ask.ids, order.ask.checkpoint);
    case "look":
      return model.look(order.ask);
    case "lens":
      return lens(model, order.ask.ids, order.ask.options);
    case "weight": {
      const { shape, data } = await model.weight(order.ask.name, order.ask.checkpoint);
      return { shape, data: data.slice() }; // else all weights would be sent along
    }
    case "remember":
      return model.seen && model.manifest.seen ? kindOf(order.ask, model.seen, model.manifest.seen) : null;
  }
}

async function open({ source, runtime }: Orders["open"]["ask"]): Promise<Opened> {
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const bytes = runtimeBytes(runtime); // on its way while the fish is read
  bytes.catch(() => undefined); // told below
  const manifest = text(await readFile(source, "manifest.json"));
  const checked = readManifest(manifest);
  const listed = new Set(checked.files.map((file) => file.path));
  const read = async (name: string): Promise<string> =>
    text(await verified(name, await readFile(source, name), checked.files));
  const [tokenizer, metrics, counts] = await Promise.all([
    read("tokenizer.json"),
    listed.has("metrics.json") ? read("metrics.json") : null,
    listed.has("counts.json") ? read("counts.json") : null,
  ]);
  parsed("tokenizer.json", tokenizer);
  start(await bytes);
  model = await Model.open(source, checked);
  return { manifest, tokenizer, metrics, counts };
}

async function runtimeBytes(runtime: Runtime): Promise<Uint8Array<ArrayBuffer>> {
  if ("inside" in runtime) return unpacked(runtime.inside);
  const response = await fetch(runtime.address);
  if (!response.ok) throw new ModelError(trouble.runtime(`HTTP ${response.status}`));
  return gunzipped(new Uint8Array(await response.arrayBuffer()));
}

async function say(model: Model, number: number, ask: Orders["reply"]["ask"]): Promise<Orders["reply"]["answer"]> {
  const steps = reply(model, ask);
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return value;
    page.postMessage({ number, step: value });
    await breath();
    if (stopped.has(number)) return null;
  }
}

const channel = new MessageChannel();

/** Lets messages in: without it a stop would only be heard after the reply. (setTimeout would wait 4 ms.) */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(null);
  });
}
