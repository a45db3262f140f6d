/** Where page, runtime and fish come from: files beside the page, or, in tank.html, packed into the page itself. */

import { openEngine, type Tank } from "../engine/client";
import { unpacked } from "../engine/files";
import type { Runtime } from "../engine/messages";
import { text } from "../text";

/** In tank.html each file is a script element of a type that no browser runs; its text is gzip in base64. */
function inside(): Readonly<Record<string, string>> | null {
  const elements = document.querySelectorAll<HTMLScriptElement>("script[data-file]");
  if (!elements.length) return null;
  return Object.fromEntries(Array.from(elements, (element) => [element.dataset.file!, element.textContent]));
}

const packed = inside();

async function makeWorker(): Promise<Worker> {
  if (!packed) return new Worker(new URL("../engine/worker.ts", import.meta.url), { type: "module" });
  // A worker of a page opened as a file has no place of its own, so it can be no module: it is its own complete source.
  const source = new Blob([await unpacked(packed["tank/worker.js"]!)], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(source));
}

function runtime(): Runtime {
  if (packed) return { inside: packed["tank/runtime.wasm"]! };
  return { address: new URL("assets/runtime.wasm.gz", document.baseURI.replace(/#.*/, "")).href };
}

/** licences.txt. Raises Error if it can't be had. */
export async function licences(): Promise<string> {
  if (packed) return new TextDecoder().decode(await unpacked(packed["tank/licences.txt"]!));
  const response = await fetch(new URL("licences.txt", document.baseURI.replace(/#.*/, ""))).catch(() => null);
  if (!response?.ok) throw new Error(text.shell.licences.missing(response ? `HTTP ${response.status}` : "no network"));
  return response.text();
}

/** The fish that came with the page. Raises ModelError. */
export async function openShipped(): Promise<Tank> {
  if (packed) return openEngine(makeWorker, { kind: "inside", files: packed }, runtime());
  const base = new URL("model/", document.baseURI.replace(/#.*/, "")).href;
  const tank = await openEngine(makeWorker, { kind: "web", base }, runtime());
  if (import.meta.env.PROD) void keepForOffline(base, tank);
  return tank;
}

/** Has page and fish kept, so that both open again without a network; the checkpoints only once they were looked at. */
async function keepForOffline(base: string, { manifest }: Tank): Promise<void> {
  try {
    await navigator.serviceWorker.register("offline.js");
    const { active } = await navigator.serviceWorker.ready;
    const checkpoints = new Set(
      manifest.checkpoints.map(({ file }) => file).filter((file) => file !== manifest.weights.file),
    );
    const files = ["manifest.json", ...manifest.files.map(({ path }) => path).filter((path) => !checkpoints.has(path))];
    active?.postMessage(files.map((file) => base + file));
  } catch {
    // not allowed here, or not known to this browser: then the page needs its host again
  }
}

/** A fish out of a folder that was dropped or chosen. Raises ModelError. */
export function openDropped(files: Readonly<Record<string, File>>): Promise<Tank> {
  return openEngine(makeWorker, { kind: "dropped", files }, runtime());
}
