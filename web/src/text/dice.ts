import type { ViewText } from "../text";
import { float, quoted } from "./python";

const count = (value: number): string => value.toLocaleString("en");

export const dice = {
  name: "Dice",
  title: "How the next token is drawn",
  notice:
    "The model gives every token a chance; what is said is decided by dice. Temperature bends the chances, each filter takes some tokens away.",
  python: ({ text, sampling }) => {
    const { temperature, top_k, top_p, min_p } = sampling;
    if (temperature === 0) return `guppylm.load().look(${quoted(text)}).activations["logits"][-1].argmax()`;
    const dials = `s.SamplingConfig(${float(temperature)}, ${top_k}, ${float(top_p)}, ${float(min_p)})`;
    return `s = guppylm.inference.sampling; s.filtered(guppylm.load().look(${quoted(text)}).activations["logits"][-1], ${dials}).softmax(-1)`;
  },
  where: "The next token after",
  whereHint: "Choose a token: the dice are those that were thrown after it.",
  replyMarks: "What you said, then what he has said",
  model: "What the model gives",
  modelHow: "Softmax of the logits: no dial has touched them.",
  stages: {
    temperature: "Temperature",
    top_k: "Top-k",
    top_p: "Top-p",
    min_p: "Min-p",
  },
  setTo: (value: string) => `set to ${value}`,
  off: "off",
  nothing: "changes nothing",
  left: (tokens: number) => (tokens === 1 ? "1 token left" : `${count(tokens)} tokens left`),
  took: (tokens: number, share: string) => `took ${count(tokens)} tokens with ${share} away`,
  sides: (sides: string) => `as unsure as a fair die with ${sides} sides`,
  bent: "the same tokens, other chances",
  heads: ["Token", "Share", "Probability"],
  stageCaption: (stage: string) => `The likeliest tokens after ${stage}; the outline is the step before`,
  greedy: "At temperature 0 there are no dice: the likeliest token is taken.",
  drawsTitle: "A hundred throws",
  drawsHow: (seed: number) =>
    `All with seed ${seed}, from the chances at the end of the filters. The outline is what those chances promise.`,
  drawsHeads: ["Token", "Share", "Thrown", "Promised"],
  drawsCaption: "How often each token came in a hundred throws",
  promised: (share: string) => `of ${share}`,
  rest: (tokens: number) => `${tokens} others`,
  greedyTakes: (label: string) => `Greedy would take “${label}” every time.`,
  throwAgain: "Throw again",
  single: "The throws in their order",
} satisfies ViewText & Record<string, unknown>;
