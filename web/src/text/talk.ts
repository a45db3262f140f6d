import type { Kind } from "../engine/types";
import type { ViewText } from "../text";
import { float, quoted } from "./python";

export const talk = {
  name: "Talk",
  title: "Talk to a fish",
  notice:
    "He says one token at a time. The stronger its tint, the less sure he was: click a token and see what else he could have said.",
  python: ({ text, seed, sampling }) => {
    const { temperature, top_k, top_p, min_p } = sampling;
    const dials = `SamplingConfig(${float(temperature)}, ${top_k}, ${float(top_p)}, ${float(min_p)})`;
    return `guppylm.load().reply(${quoted(text)}, seed=${seed}, sampling=guppylm.inference.sampling.${dials})`;
  },
  otherDice: "Python has other dice: the same seed gives another reply there. At temperature 0 both say the same.",
  placeholder: "say something to the fish",
  send: "Say it",
  stop: "Stop",
  again: "Roll again",
  againHint: "the next seed",
  you: "You",
  conversation: "Conversation",
  forgets: "He reads each message by itself: a fish forgets.",
  clear: "Clear",
  dials: "Dials",
  temperature: "Temperature",
  temperatureHint: "Below 1 the likely gets likelier. 0 always takes the likeliest.",
  greedy: "0, greedy",
  topK: "Top-k",
  topKHint: "Keeps the k likeliest.",
  topP: "Top-p",
  topPHint: "Keeps the likeliest that reach p together.",
  minP: "Min-p",
  minPHint: "Keeps those at least this fraction as likely as the likeliest.",
  off: "off",
  seed: "Seed",
  seedHint: "The same seed, the same reply.",
  reset: "Reset the dials",
  surer: "sure",
  unsure: "unsure",
  legend: "How sure he was of each token",
  end: "end",
  endOf: "Here he stopped.",
  cut: "Stopped before his end.",
  full: "The context is full: he can't read on.",
  tokenTitle: (chance: string) => chance,
  chosen: (place: number, all: number) => `Token ${place} of ${all}`,
  chosenEnd: "The end",
  gave: (chance: string) => `He gave it ${chance}.`,
  dice: (chance: string) => `After the dials the dice had it at ${chance}.`,
  greedyTook: "At temperature 0 the likeliest is taken.",
  forced: "You put it there.",
  alternatives: "What else he could have said here. Choose one, and he goes on from there.",
  alternativesHeads: ["Token", "Share", "Probability"],
  rewind: "Rewind to here, roll again",
  branched: (place: number) => `Another branch from token ${place}`,
  seedOf: (seed: number) => `seed ${seed}`,
  inside: "Look inside while he says this:",
  speed: (tokens: number, perSecond: number) => `${tokens} tokens, ${perSecond} a second`,
  kinds: { remembered: "remembered", recombined: "recombined", invented: "invented" } satisfies Record<Kind, string>,
  kindMeans: {
    remembered: "This reply stands, letter for letter, in a conversation that he was trained on.",
    recombined:
      "Each sentence stands in the training data, the reply as a whole does not. (guppylm asks the grammar instead, which a page can't.)",
    invented:
      "At least one sentence stands nowhere in the training data. (guppylm asks the grammar instead, which a page can't.)",
  } satisfies Record<Kind, string>,
  cacheTitle: "What the cache saves",
  cacheHow:
    "He keeps the keys and values of what he has read. Without that he would read everything again for each token.",
  measure: "Measure it with this reply",
  measuring: "Measuring …",
  measured: (withCache: string, without: string, ratio: string) =>
    `With the cache ${withCache} ms a token, reading everything again ${without} ms: ${ratio} times as long. (Later tokens only, not the first reading.)`,
} satisfies ViewText & Record<string, unknown>;
