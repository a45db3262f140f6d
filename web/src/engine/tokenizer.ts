/** Text to token ids and back, and the chat format: `data/tokenizer.py` once more. */

import { Tokenizer as BPETokenizer } from "@huggingface/tokenizers";

import { trouble } from "../text/trouble";
import { ModelError } from "./error";
import { parsed, type Manifest } from "./manifest";
import type { Merge, Tokenizer } from "./types";

interface TokenizerFile {
  normalizer: { type: string; normalizers?: { type: string }[] } | null;
  added_tokens: unknown[];
  model: { vocab: Record<string, number>; merges: ([string, string] | string)[] };
}

export class ChatTokenizer implements Tokenizer {
  readonly size: number;
  readonly start: number;
  readonly answer: number;
  readonly end: number;
  readonly #bpe: BPETokenizer;
  readonly #lowers: boolean;
  readonly #spelled: string[] = []; // by id, a character for each byte
  readonly #ids: Map<string, number>;
  readonly #ranks = new Map<string, number>();
  readonly #longest: number;
  readonly #room: number;

  /** Raises ModelError if the file does not fit the manifest. */
  constructor(content: string, manifest: Manifest) {
    const { tokens, model } = manifest;
    const file = parsed("tokenizer.json", content) as TokenizerFile;
    try {
      // Without added tokens, <|im_end|> in a person's text is text: nobody can end a turn by typing it.
      this.#bpe = new BPETokenizer({ ...file, added_tokens: [] }, {});
      this.#ids = new Map(Object.entries(file.model.vocab));
      file.model.merges.forEach((pair, rank) => {
        const [left, right] = typeof pair === "string" ? pair.split(" ") : pair;
        this.#ranks.set(`${left} ${right}`, rank);
      });
    } catch (error) {
      throw new ModelError(trouble.tokenizer(error instanceof Error ? error.message : String(error)));
    }
    for (const [spelled, id] of this.#ids) this.#spelled[id] = spelled;
    if (this.#spelled.length !== tokens.known || tokens.known > model.vocabulary_size) {
      throw new ModelError(trouble.tokenizer(`${this.#spelled.length} tokens, not ${tokens.known}`));
    }
    const steps = file.normalizer?.normalizers ?? (file.normalizer ? [file.normalizer] : []);
    this.#lowers = steps.some(({ type }) => type === "Lowercase");
    this.#longest = Math.max(...this.#spelled.map((spelled) => spelled.length));
    this.#room = model.context - tokens.kept_for_reply - 2; // the marks around the prompt
    this.size = tokens.known;
    [this.start, this.answer, this.end] = [tokens.start.id, tokens.answer.id, tokens.end.id];
  }

  encode(text: string): number[] {
    return this.#bpe.encode(normalised(text, this.#lowers), { add_special_tokens: false }).ids;
  }

  decode(ids: readonly number[]): string {
    const bytes = ids.flatMap((id) => (this.#special(id) ? [] : bytesOf(this.#spelled[id] ?? "")));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }

  render(prompt: string, said: readonly number[] = []): { ids: number[]; leftOut: number } {
    const all = Array.from(wellFormed(prompt).normalize("NFC"));
    let kept = all.slice(-this.#longest * this.#room);
    let ids = this.encode(kept.join(""));
    while (ids.length > this.#room) {
      const excess = ids.length - this.#room;
      kept = kept.slice(Math.max(1, Math.floor(excess / 4))); // a token spells a character or more, a character at most four
      ids = this.encode(kept.join(""));
    }
    return { ids: [this.start, ...ids, this.answer, ...said], leftOut: all.length - kept.length };
  }

  label(id: number): string {
    const spelled = this.#spelled[id];
    if (spelled === undefined) return `[${id}]`;
    return this.#special(id) ? spelled.replaceAll("\n", "␤") : readable(spelled);
  }

  replay(text: string, { lowercase = true }: { lowercase?: boolean } = {}): ReturnType<Tokenizer["replay"]> {
    const words = this.#bpe.pre_tokenizer?.pre_tokenize([normalised(text, lowercase && this.#lowers)]) ?? [];
    return words.map((word) => {
      const bytes = Array.from(word);
      const merges: Merge[] = [];
      let pieces = bytes;
      for (;;) {
        const ranks = pieces.slice(1).map((right, at) => this.#ranks.get(`${pieces[at]} ${right}`) ?? Infinity);
        const rank = Math.min(...ranks);
        if (rank === Infinity) break; // also where no pair is left
        const at = ranks.indexOf(rank);
        pieces = [...pieces.slice(0, at), pieces[at]! + pieces[at + 1]!, ...pieces.slice(at + 2)];
        merges.push({ at, rank, pieces: pieces.map(readable) });
      }
      return {
        word: readable(word),
        bytes: bytes.map(readable),
        merges,
        ids: pieces.map((piece) => this.#ids.get(piece)!),
      };
    });
  }

  #special(id: number): boolean {
    return id === this.start || id === this.answer || id === this.end;
  }
}

/** NFC and lowercase as the Rust library does it: letter by letter, so that a final sigma stays σ. */
function normalised(text: string, lowercase: boolean): string {
  const composed = wellFormed(text).normalize("NFC");
  return lowercase ? Array.from(composed, (letter) => letter.toLowerCase()).join("") : composed;
}

/** Half of a surrogate pair becomes "?". */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "?");
}

/** The byte that each character of a byte-level token stands for (GPT-2's table). */
const BYTE_OF: ReadonlyMap<string, number> = (() => {
  const shown = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const table = new Map<string, number>();
  let hidden = 0;
  for (let byte = 0; byte < 256; byte++) table.set(String.fromCodePoint(shown(byte) ? byte : 256 + hidden++), byte);
  return table;
})();

function bytesOf(spelled: string): number[] {
  return Array.from(spelled, (letter) => BYTE_OF.get(letter) ?? 63);
}

/** A token to read: ␣ a space, ␤ a line end, \xe2 a byte that is no whole character. */
function readable(spelled: string): string {
  const bytes = Uint8Array.from(bytesOf(spelled));
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let result = "";
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at]!;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    try {
      const letter = strict.decode(bytes.subarray(at, at + length));
      const escaped = `\\x${letter.codePointAt(0)!.toString(16).padStart(2, "0")}`;
      result += letter === " " ? "␣" : letter === "\n" ? "␤" : /^[\p{C}\p{Z}]/u.test(letter) ? escaped : letter;
      at += length;
    } catch {
      result += `\\x${lead.toString(16)}`;
      at += 1;
    }
  }
  return result;
}
