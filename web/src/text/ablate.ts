import type { ViewText } from "../text";
import { nameOf, parse } from "../views/ablate/gates";
import { quoted } from "./python";

export const ablate = {
  name: "Ablate",
  title: "Switch a part off",
  notice: "Most parts are missed little, a few decide everything: which ones depends on the sentence.",
  python: (shared) => {
    const off = parse(shared.own.off).map((part) => JSON.stringify(nameOf(part)));
    if (!off.length) return `guppylm.load().look(${quoted(shared.text)}).guesses()`;
    return `fish = guppylm.load(); p, q = (one.look(${quoted(shared.text)}).probabilities[-1] for one in (fish, fish.ablate([${off.join(", ")}]))); (p * (p / q).log()).sum()`;
  },

  switches: (parts: number) => `${parts} switches`,
  aboutBoard: "Click a part: it then adds nothing to the stream. (The bias that the heads of a layer share stays.)",
  tinted:
    "Tinted by how much he misses the part, alone, in this sentence: nats for the next token. A click switches a part off, and on again.",
  board: "parts of the model: switched on or off",
  head: "head",
  layer: "layer",
  mlp: "MLP",
  all: "layer",
  on: "on",
  off: "off",
  part: (layer: number, head: number | null) =>
    head === null ? `layer ${layer}, MLP` : `layer ${layer}, head ${head}`,
  partWith: (name: string, nats: number | undefined) =>
    nats === undefined ? name : `${name}: missed by ${nats.toFixed(3)} nats`,
  short: (nats: number) => (nats >= 0.005 ? nats.toFixed(2) : "0"),
  rank: (parts: number) => `Rank all ${parts} parts`,
  restore: "All on again",

  next: "What he would say next",
  nothing: "Nothing is switched off: this is the whole fish.",
  moved: (off: readonly string[], nats: number) => {
    const named = off.length > 4 ? `${off.length} parts` : off.join(" and ");
    return `Without ${named} the guess moves by ${nats.toFixed(3)} nats (KL divergence from the whole fish). The outline is what it was.`;
  },
  bar: "bar",

  replies: "The same question, the same dice",
  wholeFish: "whole",
  changedFish: "with parts off",
  greedy: "always the likeliest",
  drawn: (seed: number, temperature: number) => `drawn with seed ${seed}, temperature ${temperature}`,
  same: "switch a part off",
  silent: "(he says nothing)",

  ranking: "The most missed parts",
  rankingTable: "parts by nats",
  aboutRanking:
    "Each part was switched off alone. The figure is the KL divergence of the next token from that of the whole fish; at the right what he would say then. Click a part to hear him without it.",
  took: (parts: number, milliseconds: number) =>
    `${parts} parts and the whole fish computed together: ${(milliseconds / 1000).toFixed(2)} seconds.`,
  partName: "part",
  nats: "nats",
  instead: "he would say",
  every: (parts: number) => `Show all ${parts}`,
  fewer: "Show the first ten",
} satisfies ViewText & Record<string, unknown>;
