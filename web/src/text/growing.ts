import type { ViewText } from "../text";
import { float, quoted } from "./python";

const count = (value: number): string => value.toLocaleString("en");
const die = (nats: number): string => {
  const sides = Math.exp(nats);
  return sides < 10 ? sides.toFixed(1) : count(Math.round(sides));
};

export const growing = {
  name: "Growing up",
  title: "How he learned to talk",
  notice:
    "The same prompt, the same dice, other weights: first there are scraps, then sentences, and only then answers.",
  python: ({ text, seed, sampling, own }) => {
    const { temperature, top_k, top_p, min_p } = sampling;
    const step = /^\d+$/.test(own.at ?? "") ? Number(own.at) : null;
    const younger =
      step === null
        ? ""
        : ` fish.model = fish.run.model("checkpoints/step_${String(step).padStart(6, "0")}.safetensors");`;
    const map =
      /^\d+$/.test(own.layer ?? "") && /^\d+$/.test(own.head ?? "")
        ? `[${Number(own.layer)}, ${Number(own.head)}]`
        : "";
    const dials = `guppylm.inference.sampling.SamplingConfig(${float(temperature)}, ${top_k}, ${float(top_p)}, ${float(min_p)})`;
    return `fish = guppylm.load();${younger} fish.reply(${quoted(text)}, ${seed}, ${dials}), fish.look(${quoted(text)}).attention${map}`;
  },

  slider: "Age",
  age: (step: number, grown: boolean) =>
    grown ? `grown, step ${count(step)}` : step === 0 ? "unborn, step 0" : `step ${count(step)}`,
  read: (tokens: number | null) =>
    tokens === null ? "" : tokens === 0 ? "He has read nothing yet." : `He has read ${count(tokens)} tokens.`,
  loss: (loss: number, step: number, validation: boolean, asked: number) =>
    `${validation ? "Loss on conversations kept for that" : step === asked ? "Loss of this one step" : `Loss of step ${count(step)}`}: ${loss.toFixed(2)} nats a token, as unsure as a fair die with ${die(loss)} sides.`,
  waiting: "being asked \u2026",
  cut: (tokens: number) => `cut off after ${tokens} tokens`,
  ended: "ended by himself",
  replies: "What he said at each age",
  dice: (seed: number, temperature: number) =>
    temperature === 0
      ? "Always the likeliest token. The stronger a token is tinted, the less sure he was."
      : `Seed ${seed}, temperature ${temperature}; the dice fall alike at each age. The stronger a token is tinted, the less sure he was.`,
  seed: "Other dice",
  seedHint: "the next seed",
  greedy: "Always the likeliest",
  kinds: { remembered: "remembered", recombined: "recombined", invented: "invented" },
  choose: (age: string) => `look at ${age}`,

  map: (layer: number, head: number, age: string) => `Where one head looks: layer ${layer}, head ${head}, ${age}`,
  mapHow:
    "Rows look, columns are looked at; each row sums to one. It opens on the head of the grown fish that looks hardest at one token. Follow it back with the slider.",
  mapLast: (token: string, share: string) => `After the prompt it looks most at \u201c${token}\u201d: ${share}.`,
  layer: "Layer",
  head: "Head",
  caption: (age: string) => `attention pattern, ${age}: rows look, columns are looked at`,

  curveTitle: "The loss on the way",
  curve: (loss: number, floor: number | null) =>
    `The loss sinks to ${loss.toFixed(2)} nats${floor === null ? "" : `; the floor lies at ${floor.toFixed(2)}`}. A table of it stands below.`,
  axes: "loss in nats a token, by steps",
  legend: (looks: boolean) =>
    `Thin: the loss of single steps, which differ by chance.${looks ? " Thick: conversations kept for that." : ""} The steps to the right are drawn ever closer. Rings: weights that were kept.`,
  gravel:
    "The gravel is the floor: what the sheet itself leaves to chance. Over many conversations nobody gets below it.",
  noFloor: "The floor of this fish is not known.",
  floor: (nats: number) => `floor ${nats.toFixed(2)}`,
  noCurve: "This folder has no loss curve: metrics.json is missing. Export a run folder that has its metrics.jsonl.",
  table: "The curve in figures",
  tableHeads: ["Step", "Tokens read", "Loss", "As a die of", "Above the floor"],
  tableFigures: (step: number, tokens: number, loss: number, gap: number | null) => [
    count(step),
    count(tokens),
    loss.toFixed(3),
    `${die(loss)} sides`,
    gap === null ? "\u2013" : gap.toFixed(3),
  ],

  none: "This folder holds only the grown fish: there are no younger weights to ask. Every training keeps some in RUN/checkpoints; export that run folder, with them still in it, and they come along: guppylm export RUN --to onnx --out DIR. Then put the new folder in.",
} satisfies ViewText & Record<string, unknown>;
