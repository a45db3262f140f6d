/** The engine against PyTorch: tokens, tensors, filters, replies, and what was seen in training. */

import type { Page } from "@playwright/test";

import { Random } from "../src/engine/random";
import { draw, drawable, keepTopK, softmax } from "../src/engine/sampling";
import { murmur3 } from "../src/engine/seen";
import { expect, manifest, open, python, test } from "./tank";

interface Reference {
  ids: number[];
  labels: string[];
  activations: Record<string, { shape: number[]; data: number[] }>;
  lens: number[][][]; // [stage][position][rank]
  dials: { sampling: [number, number, number, number]; shares: number[] }[];
}

const CASTLE = "i got you a new castle";
let page: Page; // one for all: opening a fish is the slow part
test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  await open(page, "dice");
});
test.afterAll(() => page.close());

const greedy = { temperature: 0, top_k: 0, top_p: 1, min_p: 0 };

test("every activation is PyTorch's", async () => {
  const reference = await python<Reference>("engine", CASTLE);
  const { ids, labels } = await page.evaluate((text) => {
    const found = tank.tokenizer.render(text).ids;
    return { ids: found, labels: found.map((id) => tank.tokenizer.label(id)) };
  }, CASTLE);
  expect(ids).toEqual(reference.ids);
  expect(labels).toEqual(reference.labels);

  const look = await page.evaluate(
    async ([ids, want]) => {
      const found = await tank.look({ ids, want });
      return want.map((name) => ({
        name,
        shape: [...found[name]!.shape],
        data: Array.from(found[name]!.data, (x) => Math.max(x, -1e30)),
      }));
    },
    [ids, Object.keys(reference.activations)] as [number[], string[]],
  );
  expect(look.length).toBe(3 + 12 * manifest.model.layers + 1);
  for (const { name, shape, data } of look) {
    const { shape: wanted, data: numbers } = reference.activations[name]!;
    expect(shape.slice(-wanted.length), name).toEqual(wanted);
    expect(data.length, name).toBe(numbers.length);
    const most = data.reduce((worst, x, at) => Math.max(worst, x === numbers[at] ? 0 : Math.abs(x - numbers[at]!)), 0);
    expect(most, name).toBeLessThan(1e-4);
  }

  const lens = await page.evaluate((ids) => tank.lens(ids), ids);
  expect(lens.stages.length).toBe(2 * manifest.model.layers + 1);
  lens.guesses.forEach((stage, s) =>
    stage.forEach((guesses, at) =>
      guesses.forEach(({ chance }, rank) =>
        expect(Math.abs(chance - reference.lens[s]![at]![rank]!)).toBeLessThan(1e-4),
      ),
    ),
  );

  const logits = Float32Array.from(reference.activations.logits!.data.slice(-manifest.model.vocabulary_size));
  for (const {
    sampling: [temperature, top_k, top_p, min_p],
    shares,
  } of reference.dials) {
    const ours = drawable(logits, { temperature, top_k, top_p, min_p });
    const most = shares.reduce((worst, share, token) => Math.max(worst, Math.abs(share - ours[token]!)), 0);
    expect(most, String([temperature, top_k, top_p, min_p])).toBeLessThan(1e-5); // PyTorch divides in 32 bits, we in 64
    expect(ours.filter((share) => share > 0).length).toBe(shares.filter((share) => share > 0).length);
  }
});

test("greedy replies are the golden ones, with the cache and without", async () => {
  for (const { prompt, prompt_ids, reply, reply_ids } of manifest.golden) {
    for (const recompute of [false, true]) {
      const said = await page.evaluate(
        async ([prompt, sampling, recompute]) => {
          const ids: number[] = [];
          for await (const step of tank.reply({ prompt, sampling, seed: 1, recompute })) ids.push(step.token);
          return { ids, text: tank.tokenizer.decode(ids), asked: tank.tokenizer.render(prompt).ids };
        },
        [prompt, greedy, recompute] as [string, typeof greedy, boolean],
      );
      expect(said).toEqual({ ids: reply_ids, text: reply, asked: prompt_ids });
    }
  }
});

test("the tokenizer is Python's, and BPE replayed gives the same", async () => {
  for (const { text, ids } of manifest.tokens.encoded) {
    const found = await page.evaluate(
      (text) => [tank.tokenizer.encode(text), tank.tokenizer.replay(text).flatMap((word) => word.ids)],
      text,
    );
    expect(found, text).toEqual([ids, ids]);
  }
  const long = await page.evaluate(() => tank.tokenizer.render("🐟 ".repeat(300)));
  expect(long.ids.length).toBeLessThanOrEqual(manifest.model.context - manifest.tokens.kept_for_reply);
  expect(long.leftOut).toBeGreaterThan(0);
  expect(await page.evaluate(() => tank.tokenizer.decode([tank.tokenizer.start, 200, tank.tokenizer.end]).length)).toBe(
    1,
  );
});

test("what was said in training is known", async () => {
  for (const { text, hash } of manifest.seen.examples) {
    const bytes = new TextEncoder().encode(text.normalize("NFC").toLowerCase());
    const halves = manifest.seen.seeds.map((seed) => murmur3(bytes, seed).toString(16).padStart(8, "0"));
    expect(halves.join("")).toBe(hash);
  }
  const [whole] = manifest.golden.filter(({ reply }) => /[.?!] /.test(reply));
  const kinds = await page.evaluate(
    (reply) =>
      Promise.all(
        [
          reply,
          reply
            .split(/(?<=[.?!]) /)
            .reverse()
            .join(" "),
          "the moon is a wet piano.",
        ].map((text) => tank.remember(text)),
      ),
    whole!.reply,
  );
  expect(kinds[2]).toBe("invented");
  expect(kinds[1]).not.toBe("remembered"); // the same sentences the other way round
});

test("the dice: uniform, repeatable, and fair to what they are given", () => {
  const draws = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 20000 }, () => random.next());
  };
  const [first, again, other] = [draws(1), draws(1), draws(2)];
  expect(first).toEqual(again);
  expect(first).not.toEqual(other);
  expect(Math.min(...first)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...first)).toBeLessThan(1);
  const tenths = Array<number>(10).fill(0);
  for (const x of first) tenths[Math.floor(10 * x)]!++;
  const chi = tenths.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0);
  expect(chi).toBeLessThan(27.9); // nine degrees of freedom: one in a thousand

  const shares = softmax(Float32Array.from([0, 1, 2, -Infinity]));
  const random = new Random(7);
  const counts = [0, 0, 0, 0];
  for (let n = 0; n < 20000; n++) counts[draw(shares, random)]!++;
  expect(counts[3]).toBe(0);
  counts.slice(0, 3).forEach((n, token) => expect(Math.abs(n / 20000 - shares[token]!)).toBeLessThan(0.015));
});

test("top-k keeps what is as good as the last", () => {
  const kept = keepTopK(Float32Array.from([1, 3, 2, 2, 0]), 2);
  expect(Array.from(kept)).toEqual([-Infinity, 3, 2, 2, -Infinity]);
});
