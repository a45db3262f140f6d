import type { ViewText } from "../text";
import { look } from "../views/parts/python";

type Show = "guess" | "chance" | "length";
const BLOCK = /^blocks\.(\d+)\.(.+)$/;

export const layers = {
  name: "Layers",
  title: "What he would say if he stopped here",
  notice: "After the embedding each token only says itself. Layer by layer the stream turns towards what comes next.",
  python: (shared) => {
    const { at, stage, token, against } = shared.own;
    const numbers = [at, stage, token, against].filter((one) => one !== undefined);
    if (!numbers.length || numbers.some((one) => !/^\d+$/.test(one))) return `${look(shared)}.lens`;
    const guesses = `look.guesses(${at ?? -1}, stage=${stage ?? -1})`;
    const asked =
      token === undefined
        ? ""
        : `; look.contributions(${at ?? -1}, ${token}${against === undefined ? "" : `, against=${against}`})`;
    return `${look(shared).replace(/(guppylm\.load\(\)\.look|fish\.look)/, "look = $1")}; ${guesses}${asked}`;
  },

  lens: "The residual stream, read as words",
  show: "what the cells show",
  shows: (show: Show, token: string) =>
    ({ guess: "likeliest token", chance: `chance of \u201c${token}\u201d`, length: "length of the vector" })[show],
  about: {
    guess:
      "In each cell the stream after that stage goes through the last norm and the tied matrix, as if the model ended there: the likeliest next token and its chance. Time runs to the right, the model downwards; the bottom row is what he really thinks.",
    chance: "How likely each cell makes the one token that you follow. Pick another below.",
    length: "The Euclidean length of the stream. Every part adds to it; none replaces it.",
  } as Record<Show, string>,
  halves: "after attention too",
  caption: "logit lens: stages by positions",
  cell: (token: string, chance: string) => `${token} ${chance}`,
  stageName: "stage",
  stage: (name: string) => {
    const [, layer, half] = BLOCK.exec(name) ?? [];
    if (layer === undefined) return "embedding";
    return half === "residual_middle" ? `layer ${layer}, attention` : `layer ${layer}`;
  },
  bar: "bar",
  after: (token: string, stage: string) => `Next after \u201c${token}\u201d, stopped at ${stage}`,
  way: (token: string) => `The way of \u201c${token}\u201d there`,

  added: (token: string, after: string) => `What each part added to \u201c${token}\u201d after \u201c${after}\u201d`,
  aboutAdded:
    "A logit is a sum: every part of the model adds its vector to the stream, and what of it points towards the token raises the token. Blue raised it, brown held it down. What all tokens gain alike changes no chance, so the difference to a rival is often the clearer figure.",
  table: "layers by parts",
  follow: "token",
  against: "more than to",
  nothing: "all alike",
  bias: "bias",
  mlp: "MLP",
  outside: (name: string) =>
    ({ tokens: "the token itself", positions: "its position", "final_norm.bias": "bias of the last norm" })[name] ??
    name,
  part: (name: string): string => {
    const [, layer, part] = BLOCK.exec(name) ?? [];
    if (layer === undefined || part === undefined) return layers.outside(name);
    if (part === "mlp") return `the MLP of layer ${layer}`;
    return part.startsWith("attention.head")
      ? `head ${part.split(".").at(-1)} of layer ${layer}`
      : `the bias of layer ${layer}'s attention`;
  },
  sum: "sum = the logit",
  sumAgainst: "sum = the difference of the logits",
  strongest: (up: string, most: string, down: string, least: string) =>
    `Most came from ${up} (${most}), least from ${down} (${least}).`,
} satisfies ViewText & Record<string, unknown>;
