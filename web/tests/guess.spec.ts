import { readFileSync } from "node:fs";
import { join } from "node:path";

import { murmur3 } from "../src/engine/seen";
import { expect, manifest, MODEL, open, python, test } from "./tank";

interface Carried {
  k: number;
  conversations: {
    prompt: string;
    reply: string;
    tokens: number[];
    pairs: [number, number, number, number][];
    floor: [number, number][] | null; // null where the run's sheet is gone
  }[];
}
const game = (manifest as unknown as { game: Carried }).game;
const size = manifest.model.vocabulary_size;
const castle = game.conversations.findIndex(({ prompt }) => prompt === "i got you a new castle");
const line = (bettor: string): string => `[data-bettor=${bettor}]`;

test("everybody's surprise is Python's, token by token and in sum", async ({ page }) => {
  const reference = await python<{ tokens: number[]; chances: number[] }[]>("guess");
  await open(page, "guess");
  const row = Math.max(0, castle);
  const { tokens, pairs, floor } = game.conversations[row]!;
  expect(tokens).toEqual(reference[row]!.tokens);
  await page.getByRole("button", { name: "Watch the rest" }).click();

  const nats = async (within: string, bettor: string): Promise<number> =>
    Number(await page.locator(`${within} ${line(bettor)}`).getAttribute("data-nats"));
  const bettors = (["pairs", "fish", "floor"] as const).filter((bettor) => bettor !== "floor" || floor);
  const sums = { pairs: 0, fish: 0, floor: 0 };
  const places = page.locator(".reply button");
  await expect(places).toHaveCount(tokens.length);
  for (const place of tokens.keys()) {
    await places.nth(place).click();
    await expect(page.locator(`[data-round="${place}"]`)).toBeVisible();
    const [times, all] = pairs[place]!;
    const wanted = {
      pairs: -Math.log((times + game.k) / (all + game.k * size)),
      fish: -Math.log(reference[row]!.chances[place]!),
      floor: floor ? -Math.log(floor[place]![0]) : 0,
    };
    for (const bettor of bettors) {
      expect(Math.abs((await nats(".round", bettor)) - wanted[bettor]), `${bettor} ${place}`).toBeLessThan(
        1e-4 * (1 + wanted[bettor]),
      );
      sums[bettor] += wanted[bettor];
    }
    expect(await nats(".round", "untrained")).toBeCloseTo(Math.log(size), 10);
  }
  for (const bettor of bettors) {
    expect(await nats(".sums", bettor)).toBeCloseTo(sums[bettor] / tokens.length, 3);
  }
  await expect(page.locator(`.sums ${line("you")}`)).toHaveCount(0); // nobody bet
  const die = Math.exp(sums.fish / tokens.length).toFixed(1);
  await expect(page.locator(".verdict")).toContainText(`The fish was as unsure as a fair die with ${die} sides`);
});

test("none of the conversations was read, and their tokens are the tokenizer's", async ({ page }) => {
  const { offset, count } = manifest.seen!.sections.pairs;
  const bytes = readFileSync(join(MODEL, manifest.seen!.file));
  const read = new Set(
    new BigUint64Array(bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + 8 * count)),
  );
  expect(read.size).toBe(count);
  for (const { prompt, reply } of game.conversations) {
    const text = new TextEncoder().encode(`${prompt}\n${reply}`.normalize("NFC").toLowerCase());
    const [upper, lower] = manifest.seen!.seeds.map((seed) => BigInt(murmur3(text, seed)));
    expect(read.has((upper! << 32n) | lower!), prompt).toBe(false);
  }
  await open(page, "guess");
  await expect(page.getByText("A conversation that he never read")).toBeVisible();
  for (const { prompt, reply, tokens } of game.conversations) {
    const ids = await page.evaluate((text) => [...tank.tokenizer.encode(text), tank.tokenizer.end], reply);
    expect(ids, prompt).toEqual(tokens);
  }
});

test("a player bets by typing and by choosing, with the keyboard alone, and pays for it", async ({ page }) => {
  await open(page, "guess?row=0");
  const { tokens, reply } = game.conversations[0]!;
  const shown = page.locator(".reply");
  const field = page.getByRole("textbox", { name: "or type a word" });
  await expect(shown).toHaveAttribute("data-ready", "true");

  // Right, by the first word of the reply, 50 % sure: ln 2.
  const word = /^[a-z]+/.exec(reply)![0];
  await field.focus();
  await page.keyboard.type(word);
  await page.keyboard.press("Enter");
  await expect(shown).toHaveAttribute("data-place", "1");
  await expect(page.getByText("You were right.")).toBeVisible();
  await expect(field).toBeFocused();
  expect(Number(await page.locator(`.round ${line("you")}`).getAttribute("data-nats"))).toBeCloseTo(Math.LN2, 10);

  // Wrong, 90 % sure: a tenth is spread over all the others.
  await page.getByRole("slider", { name: "How sure" }).fill("90");
  await field.fill("zebra");
  await page.keyboard.press("Enter");
  await expect(shown).toHaveAttribute("data-place", "2");
  const wrong = -Math.log(0.1 / (size - 1));
  expect(Number(await page.locator(`.round ${line("you")}`).getAttribute("data-nats"))).toBeCloseTo(wrong, 10);

  // One of those offered; then no bet: all alike.
  await page.locator("form .token").first().press("Enter");
  await expect(shown).toHaveAttribute("data-place", "3");
  const third = Number(await page.locator(`.round ${line("you")}`).getAttribute("data-nats"));
  expect([-Math.log(0.9), wrong].some((nats) => Math.abs(nats - third) < 1e-9)).toBe(true);
  await page.getByRole("button", { name: "No bet" }).press("Enter");
  expect(Number(await page.locator(`.round ${line("you")}`).getAttribute("data-nats"))).toBeCloseTo(Math.log(size), 10);

  await page.getByRole("button", { name: "Watch the rest" }).press("Enter");
  const mean = (Math.LN2 + wrong + third + (tokens.length - 3) * Math.log(size)) / tokens.length;
  expect(Number(await page.locator(`.sums ${line("you")}`).getAttribute("data-nats"))).toBeCloseTo(mean, 9);

  await page.getByRole("button", { name: "Play it again" }).click();
  await expect(shown).toHaveAttribute("data-place", "0");
  await page.getByRole("button", { name: "Another one" }).first().click();
  await expect(page).toHaveURL(/row=1/);
  await expect(page.locator(".prompt")).toContainText(game.conversations[1]!.prompt);
});

test("a folder without conversations is played with his own replies", async ({ page }) => {
  await page.route("**/manifest.json", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...((await response.json()) as object), game: null } });
  });
  await open(page, "guess");
  await expect(page.getByText("This folder carries no conversations for the game")).toBeVisible();
  await page.getByRole("button", { name: "Watch the rest" }).click();
  await expect(page.locator(".sums tbody tr")).toHaveCount(2); // untrained and the fish
  const { reply_ids } =
    manifest.golden.find(({ prompt }) => prompt === "i got you a new castle") ?? manifest.golden[0]!;
  const favourites = page.locator(`.sums ${line("fish")} .number`).last();
  await expect(favourites).toHaveText(`${reply_ids.length + 1} of ${reply_ids.length + 1}`); // greedy: his favourite always came
});
