import type { ViewText } from "../text";
import { quoted } from "./python";

const count = (value: number): string => value.toLocaleString("en");

export const chop = {
  name: "Chop",
  title: "Text into tokens",
  notice:
    "Nothing he reads is a letter or a word: it is one of a few thousand pieces, put together from bytes. Common words are one piece, rare ones several.",
  python: (shared) => {
    if (shared.own.lower !== "off") return `guppylm.load().tokenizer.encode(${quoted(shared.text)})`;
    return `from tokenizers.normalizers import NFC; t = guppylm.load().tokenizer; t.bpe.normalizer = NFC(); t.encode(${quoted(shared.text)})`;
  },

  normalizer: "Lowercase first, as his normalizer does",
  filmTitle: "From bytes to tokens",
  about:
    "A text is bytes at first. Then the pair of neighbours whose rule was learnt earliest is joined, again and again, in each word by itself, until no rule fits. \u2423 is a space and belongs to the word after it.",
  pieces: "the text in pieces",
  piece: (label: string, bytes: number) => (bytes === 1 ? label : `${label}, ${bytes} bytes`),
  step: "Merge",
  stepOf: (step: number, all: number) => `${count(step)} of ${count(all)}`,
  back: "Back",
  forward: "Next merge",
  play: "Play",
  pause: "Pause",
  toEnd: "To the end",
  fresh: (left: string, right: string, made: string, rank: number) =>
    `\u201c${left}\u201d and \u201c${right}\u201d became \u201c${made}\u201d: rule ${count(rank + 1)}.`,
  coming: (left: string, right: string) => `Next: \u201c${left}\u201d and \u201c${right}\u201d.`,
  bytesOnly: "Bytes, nothing joined yet.",
  done: (bytes: number, tokens: number) =>
    `No rule is left: ${count(bytes)} bytes are ${count(tokens)} ${tokens === 1 ? "token" : "tokens"}.`,
  nothing: "Write something, and it is chopped here.",

  tokensTitle: "The tokens, and how often he met them",
  met: (total: number) =>
    `In all his training he met ${count(total)} tokens, the marks of the chat included. The bars have a logarithmic scale, so that rare ones can be seen.`,
  noCounts: "This folder does not say how often training met each token: counts.json is missing.",
  heads: { token: "Token", id: "Id", bytes: "Bytes", bar: "How often", times: "Times" },
  unmet: "never",

  hello: "HELLO against hello",
  helloOn: "With lowercasing both are the same tokens, so he answers both alike. Switch it off and see.",
  helloOff:
    "Without lowercasing, capitals are other bytes than small letters, and no rule joins bytes that training never met.",
  never: (tokens: number, all: number, cosine: number) =>
    `${count(tokens)} of his ${count(all)} tokens he never met. Such a token was only ever a wrong answer, so training pushed all of them the same way: the mean cosine between the vectors of two is ${cosine.toFixed(2)}. He can hardly tell one from another.`,
  helloHeads: { text: "Text", tokens: "Tokens, and how often he met each", answer: "He answers" },
  times: (times: number) => (times === 1 ? "once" : times === 0 ? "never" : `${count(times)} times`),
  answering: "thinking \u2026",
  silent: "(nothing)",
  cut: " \u2026",
  greedy: "Always the likeliest token.",
} satisfies ViewText & Record<string, unknown>;
