/** Where a model's files come from: beside the page, dropped in, or inside the page itself. */

import { trouble } from "../text/trouble";
import { ModelError } from "./error";

export type Source =
  | { readonly kind: "web"; readonly base: string } // an absolute address that ends in a slash
  | { readonly kind: "dropped"; readonly files: Readonly<Record<string, File>> }
  | { readonly kind: "inside"; readonly files: Readonly<Record<string, string>> }; // gzip, base64

/** The bytes of a file of the model. Raises ModelError if it is not there. */
export async function readFile(source: Source, name: string): Promise<Uint8Array<ArrayBuffer>> {
  if (source.kind === "web") return fetched(new URL(name, source.base).href, name);
  const file = Object.hasOwn(source.files, name) ? source.files[name] : undefined;
  if (file === undefined) throw new ModelError(name === "manifest.json" ? trouble.noManifest : trouble.missing(name));
  return typeof file === "string" ? unpacked(file) : new Uint8Array(await file.arrayBuffer());
}

async function fetched(address: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(address);
  } catch {
    throw new ModelError(trouble.unreached(name));
  }
  if (!response.ok) throw new ModelError(name === "manifest.json" ? trouble.noModel : trouble.missing(name));
  return gunzipped(new Uint8Array(await response.arrayBuffer()));
}

/** Base64 of gzip to bytes. */
export async function unpacked(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const letters = atob(base64.trim());
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  return gunzipped(bytes);
}

/** Unpacks gzip; what is none stays as it is: hosts differ in whether they hand a .gz over packed. */
export async function gunzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Checks bytes against the manifest's list. Raises ModelError. A page that is not served securely can't check sums. */
export async function verified(
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
  listed: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[],
): Promise<Uint8Array<ArrayBuffer>> {
  const entry = listed.find((one) => one.path === name);
  if (!entry) throw new ModelError(trouble.unlisted(name));
  if (bytes.length !== entry.bytes) throw new ModelError(trouble.size(name, bytes.length, entry.bytes));
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (sum !== entry.sha256) throw new ModelError(trouble.hash(name));
  }
  return bytes;
}
