import { percent } from "../components/colour";
import type { ViewText } from "../text";
import { look, read } from "../views/parts/python";

type Step = "scores" | "mask" | "softmax" | "sum";

const ABOUT: Record<Step, string> = {
  scores:
    "Each row is a token that looks: its query, times the key of every token (column), divided by the root of their length. Blue is above zero, brown below.",
  mask: "The same scores, with the future hidden: minus infinity, drawn as nothing. When he learned, the next token was the question; it must not be seen.",
  softmax:
    "Each score becomes a power of e, and each row is divided by its sum: shares of attention, all above zero, together one.",
  sum: "With these shares the row takes over the values of the tokens it looks at. Pick a row.",
};
const NO_MASK = "The mask is off: nothing is hidden, and the scores stay as they are.";

export const attention = {
  name: "Attention",
  title: "Who looks at whom",
  notice:
    "Each row sums to one: a token spreads its attention over itself and those before it, never over those to come.",
  python: (shared) => {
    const { layer, head } = shared.own;
    const place = shared.own.mask !== "off" && layer && head ? `[${Number(layer)}, ${Number(head)}]` : "";
    if (shared.own.mask !== "off") return `${look(shared)}.attention${place}`;
    return `fish = guppylm.load(); [block.attention.mask.zero_() for block in fish.model.blocks]; fish.look(${read(shared, "fish")}).attention`;
  },

  allHeads: (layers: number, heads: number) => `All ${layers * heads} heads`,
  axes: "Layers from top to bottom, the heads of each from left to right. In each map a row is a token that looks, a column one that is looked at; the darker, the larger the share.",
  grid: "heads, layers by heads",
  small: (name: string, last: string, at: string, share: string) => `${name}: ${last} looks most at ${at}, ${share}`,
  maskOn: "Causal mask: nobody looks ahead",
  oneHead: (name: string) => `One of them: ${name}`,
  steps: "step of the computation",
  step: { scores: "1 scores", mask: "2 mask", softmax: "3 softmax", sum: "4 weighted sum" } as Record<Step, string>,
  about: (step: Step, causal: boolean) => (step === "mask" && !causal ? NO_MASK : ABOUT[step]),
  caption: (step: string, name: string) => `${step}, ${name}: rows look, columns are looked at`,
  share: "share",
  scoreName: "score",
  left: (count: number, share: string) => `${count} more tokens have ${share} between them.`,
  bar: "bar",

  rowOf: (token: string) => `One row: where \u201c${token}\u201d looks`,
  sumOf: (token: string) => `What \u201c${token}\u201d takes over`,
  aboutSum:
    "The value of each token looked at, times its share of attention. Added up number by number they are what this head hands on.",
  shareOf: (token: string) => `value of ${token} times its share`,
  rest: (count: number) => (count === 1 ? "one more" : `${count} more`),
  mixed: "the sum",

  pair: (from: string, to: string) => `One score: \u201c${from}\u201d looks at \u201c${to}\u201d`,
  query: "query",
  key: "key",
  queryOf: (token: string) => `query of ${token}: what it looks for`,
  keyOf: (token: string) => `key of ${token}: what it offers`,
  products: "products",
  bars: (name: string, count: number, top: string) =>
    `${name}: ${count} numbers as bars, the largest scale mark is ${top}`,
  score: (sum: string, width: number, root: string, score: string) =>
    `The ${width} products add up to ${sum}; divided by \u221a${width} = ${root} that is a score of ${score}.`,
  hiddenPair: "The mask hides this pair: its share is 0.",
  becomes: (share: number) => `The softmax of its row makes it a share of ${percent(share)}.`,
  product: (place: number, query: string, key: string, product: string) =>
    `number ${place}: ${query} \u00d7 ${key} = ${product}`,
  strongest: (products: readonly string[]) => `What counts most: ${products.join("; ")}.`,
  allNumbers: (count: number) => `All ${count} numbers`,
  scoreNumbers: "query, key and products",
  sumNumbers: "values and their sum",
  place: "number",

  without: "What changes without the mask",
  unmasked: (ahead: number, nats: number) =>
    `On average ${percent(ahead)} of the attention now goes to tokens that come later. He never learned with that: his guess for the next token moves by ${nats.toFixed(3)} nats (KL divergence). The outline is the guess with the mask.`,
  nextWithout: "Next token without the mask",

  table: "All heads in figures",
  headName: "head",
  previous: "to the token before",
  first: "to the first",
  ahead: "to later ones",
  most: "the last token looks most at",
} satisfies ViewText & Record<string, unknown>;
