/** Whether a reply stands in what was trained on: seen.bin holds sorted hashes of 64 bits of all replies and sentences. */

import type { Section, Seen } from "./manifest";
import type { Kind } from "./types";

/** MurmurHash3_x86_32 (Austin Appleby, 2011). */
export function murmur3(data: Uint8Array, seed: number): number {
  let state = seed | 0;
  const whole = data.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    state ^= scattered(data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24));
    state = (Math.imul((state << 13) | (state >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let at = data.length - 1; at >= whole; at--) rest = (rest << 8) | data[at]!;
  if (whole < data.length) state ^= scattered(rest);
  state ^= data.length;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

function scattered(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

/** remembered: the reply stands in a training row. recombined: each of its sentences does. invented: neither. */
export function kindOf(reply: string, hashes: Uint8Array<ArrayBuffer>, seen: Seen): Kind {
  const said = reply.normalize("NFC").toLowerCase();
  if (holds(hashes, seen.sections.replies, seen.seeds, said)) return "remembered";
  const parts = said.split(/(?<=[.?!]) /);
  return parts.every((part) => holds(hashes, seen.sections.sentences, seen.seeds, part)) ? "recombined" : "invented";
}

function holds(hashes: Uint8Array<ArrayBuffer>, section: Section, seeds: readonly number[], text: string): boolean {
  const data = new TextEncoder().encode(text);
  const [upper, lower] = [murmur3(data, seeds[0]!), murmur3(data, seeds[1]!)];
  const halves = new Uint32Array(hashes.buffer, hashes.byteOffset + section.offset, 2 * section.count); // lower half first
  let [from, to] = [0, section.count];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const [high, low] = [halves[2 * middle + 1]!, halves[2 * middle]!];
    if (high === upper && low === lower) return true;
    if (high < upper || (high === upper && low < lower)) from = middle + 1;
    else to = middle;
  }
  return false;
}
