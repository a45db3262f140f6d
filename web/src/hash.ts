/** The address: #/view?text=...&seed=...; only what differs from the default is written, everything is checked when read. */

import type { Sampling } from "./engine/types";
import type { ViewName } from "./views/registry";

export interface Shareable {
  view: ViewName;
  text: string;
  seed: number;
  sampling: Sampling;
  said: number[];
  own: Record<string, string>;
}

export const DEFAULT_TEXT = "i got you a new castle";
export const DEFAULT_SAMPLING: Readonly<Sampling> = { temperature: 0.7, top_k: 0, top_p: 1, min_p: 0 };
export const LONGEST_TEXT = 2000; // characters
const LARGEST_SEED = 4294967295;
const MOST_SAID = 256;

/** The bounds of each dial, both included, except that top-p must be above 0. */
export const BOUNDS: Readonly<Record<keyof Sampling, readonly [number, number]>> = {
  temperature: [0, 5],
  top_k: [0, 100000],
  top_p: [0.001, 1],
  min_p: [0, 1],
};

export function write(state: Shareable): string {
  const query = new URLSearchParams();
  if (state.text !== DEFAULT_TEXT) query.set("text", state.text);
  if (state.seed !== 1) query.set("seed", String(state.seed));
  for (const name of Object.keys(BOUNDS) as (keyof Sampling)[]) {
    if (state.sampling[name] !== DEFAULT_SAMPLING[name]) query.set(name, String(state.sampling[name]));
  }
  if (state.said.length) query.set("said", state.said.join("."));
  for (const [name, value] of Object.entries(state.own)) query.set(name, value);
  const written = query.toString();
  return `#/${state.view}${written ? `?${written}` : ""}`;
}

/** What is missing or not understood keeps its default; the names of the latter stand in `ignored`. */
export function read(hash: string, known: readonly ViewName[]): Shareable & { ignored: string[] } {
  const [path = "", query = ""] = splitOnce(hash.replace(/^#\/?/, ""), "?");
  const ignored: string[] = [];
  const view = known.find((name) => name === path);
  if (view === undefined && path !== "") ignored.push(path.slice(0, 40));
  const sampling = { ...DEFAULT_SAMPLING };
  const found = {
    view: view ?? known[0]!,
    text: DEFAULT_TEXT,
    seed: 1,
    sampling,
    said: [] as number[],
    own: {},
    ignored,
  };
  const own: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    const understood = ((): boolean => {
      if (name === "text") {
        found.text = value.slice(0, LONGEST_TEXT);
        return value.trim() !== "" && value.length <= LONGEST_TEXT;
      }
      if (name === "seed") {
        const seed = number(value, 0, LARGEST_SEED);
        if (seed === null || !Number.isInteger(seed)) return false;
        found.seed = seed;
        return true;
      }
      if (name === "said") {
        if (!/^\d{1,7}(\.\d{1,7})*$/.test(value)) return false;
        const ids = value.split(".").map(Number);
        if (ids.length > MOST_SAID) return false;
        found.said = ids;
        return true;
      }
      if (name in BOUNDS) {
        const dial = name as keyof Sampling;
        const turned = number(value, ...BOUNDS[dial]);
        if (turned === null || (dial === "top_k" && !Number.isInteger(turned))) return false;
        sampling[dial] = turned;
        return true;
      }
      if (!/^[a-z_]{1,20}$/.test(name) || value.length > 400) return false;
      own[name] = value;
      return true;
    })();
    if (!understood) ignored.push(name.slice(0, 40));
  }
  if (found.text.trim() === "") found.text = DEFAULT_TEXT;
  return { ...found, own };
}

/** A finite number within bounds, or null. */
export function number(text: string, smallest: number, largest: number): number | null {
  if (!/^\d+(\.\d+)?(e-?\d+)?$/i.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) && value >= smallest && value <= largest ? value : null;
}

function splitOnce(text: string, mark: string): [string, string] {
  const place = text.indexOf(mark);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}
