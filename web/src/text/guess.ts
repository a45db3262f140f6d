import type { ViewText } from "../text";
import { current } from "../views/guess/current.svelte";
import type { Bettor } from "../views/guess/game";
import { quoted } from "./python";

const count = (value: number): string => value.toLocaleString("en");
const die = (sides: number): string => (sides < 10 ? sides.toFixed(1) : count(Math.round(sides)));

export const guess = {
  name: "Guess",
  title: "You against the fish",
  notice:
    "Every bet costs its surprise, and a sure bet that was wrong costs most. The mean over the tokens is the loss: what training makes small.",
  python: (shared) => {
    const one = current.conversation;
    if (!one) return `guppylm.load().look(${quoted(shared.text)}).guesses()`;
    const row = `Row(${[one.prompt, one.reply, one.topic, one.turn].map(quoted).join(", ")}, ${JSON.stringify(one.bindings)})`;
    if (!one.floor) return `from guppylm.guess import Row; guppylm.load().losses([${row}])`;
    return `from guppylm.guess import Row, Table, scores; scores(list(Table(guppylm.load()).rounds(${row})))`;
  },

  which: "Conversation",
  other: "Another one",
  again: "Play it again",
  unread: "A conversation that he never read: not one of these replies stood under its prompt in his training.",
  own: "This folder carries no conversations for the game, so these are his own replies, and he knows what he would say. Nobody has counted pairs, and there is no floor. A folder exported from a run with its data and its sheet has all that.",
  dialogue: "The conversation so far",
  person: "You",
  nothingYet: "He has said nothing yet.",
  darker: "The stronger a token is tinted, the less sure he was of it. Choose one to see its bets again.",

  question: (place: number) => (place ? "What comes next?" : "How does he begin?"),
  offered: "Six that he finds likely, in order of the alphabet. What comes may be none of them.",
  type: "or type a word",
  bet: "Bet",
  over: "end of the reply",
  end: "end",
  sure: "How sure",
  sureHint: "That share goes on your token, the rest on all others alike.",
  pass: "No bet",
  passHint: "all tokens alike",
  watch: "Watch the rest",
  unfit: (typed: string) => `\u201c${typed}\u201d can't follow here as a token of its own; try another.`,
  your: (token: string, sure: string) => `Your bet: ${token}, ${sure}.`,

  came: (token: string) => `It was \u201c${token}\u201d`,
  token: (place: number, all: number) => `token ${place} of ${all}`,
  tokenOf: (token: string, fish: string) => `${token}: he had given it ${fish}`,
  right: "You were right.",
  wrong: (token: string) => `You had bet on \u201c${token}\u201d.`,
  bettors: {
    you: "You",
    pairs: "Pair counts",
    untrained: "Untrained",
    fish: "The fish",
    floor: "The floor",
  } satisfies Record<Bettor, string>,
  roundHeads: ["Who", "Surprise", "Nats", "Favourite"],
  nats: (nats: number) => `${nats.toFixed(2)} nats`,
  favourite: (token: string) => `bet on ${token}`,
  hit: "bet on it",
  alike: "all alike",

  sums: "What the reply cost",
  sumHeads: ["Who", "Surprise a token", "Nats in all", "A token", "Sides of the die", "Favourite came"],
  sumFigures: (nats: number, tokens: number, sides: number, hits: number | null) => [
    nats.toFixed(1),
    (nats / tokens).toFixed(2),
    die(sides),
    hits === null ? "\u2013" : `${hits} of ${tokens}`,
  ],
  verdict: (fish: number, you: number | null, floor: number | null) =>
    `The fish was as unsure as a fair die with ${die(fish)} sides` +
    (you === null ? "" : `, you as one with ${die(you)}`) +
    (floor === null ? "." : `${you === null ? "," : ", and"} the floor as one with ${die(floor)}.`),
  luck: "Over many replies nobody can be less unsure than the floor; on a single one, by luck.",
  unbet: "Where you made no bet, you count as one who finds all tokens alike.",
  remembered: "He has read this very reply, under another prompt.",
  fresh: "This reply stands nowhere in what he has read.",

  whoTitle: "Who bets",
  who: [
    [
      "Pair counts",
      "have counted which token followed which in the replies that he has read. They see one token back.",
    ],
    ["Untrained", "finds all tokens alike, as a network before its first lesson nearly does."],
    ["The fish", "has read the prompt and all of the reply before the token."],
    ["The floor", "is the sheet that made the reply: it knows what the prompt meant and what may be said to that."],
  ],
  whoUntrained: (size: number, nats: number) =>
    `${count(size)} tokens: ln ${count(size)} = ${nats.toFixed(2)} nats, always.`,
  counted: (times: number, all: number, before: string) =>
    `After \u201c${before}\u201d came this token ${count(times)} times of ${count(all)} in the replies he has read.`,
} satisfies ViewText & Record<string, unknown>;
