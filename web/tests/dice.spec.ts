/** Each filter and the throws: against PyTorch, and by hand. */

import type { Locator } from "@playwright/test";

import { expected, LOOK, near, shownLine, TEXT, written } from "./glass";
import { expect, manifest, open, test } from "./tank";

test("each filter's figures are those of the engine's numbers", async ({ page }) => {
  await open(page, "dice?top_k=5&top_p=0.8&min_p=0.1&temperature=1.3");
  const cards = page.locator(".steps .card");
  await expect(cards).toHaveCount(5);
  const logits = await page.evaluate(async () =>
    Array.from(await tank.next(tank.tokenizer.render("i got you a new castle").ids)),
  );

  // By hand, without the page's own functions.
  const weights = logits.map((logit) => Math.exp(logit));
  const sum = weights.reduce((a, b) => a + b);
  const likeliest = Math.max(...weights) / sum;
  const shown = likeliest >= 0.0995 ? `${(100 * likeliest).toFixed(0)} %` : `${(100 * likeliest).toFixed(1)} %`;
  await expect(cards.nth(0).locator("tbody tr").first().locator(".number")).toHaveText(shown);
  await expect(cards.nth(0)).toContainText(`${manifest.model.vocabulary_size.toLocaleString("en")} tokens left`);
  const hot = logits.map((logit) => Math.exp(logit / 1.3)).sort((a, b) => b - a);
  const five = hot.slice(0, 5);
  const total = five.reduce((a, b) => a + b);
  await expect(cards.nth(2)).toContainText("5 tokens left");
  let before = 0;
  const inside = five.filter((weight) => {
    const kept = before / total < 0.8;
    before += weight;
    return kept;
  });
  if (inside.length < 5) await expect(cards.nth(3)).toContainText(`${inside.length} tokens left`);
  const last = inside.filter((weight) => weight >= 0.1 * inside[0]!);
  if (last.length < inside.length) await expect(cards.nth(4)).toContainText(`${last.length} tokens left`);

  const thrown = (await page.locator("[data-thrown]").getAttribute("data-thrown"))!.split(".").map(Number);
  expect(thrown.length).toBe(100);
  const kept = new Set(
    logits
      .map((logit, token) => [logit, token] as const)
      .sort((a, b) => b[0] - a[0])
      .slice(0, last.length)
      .map(([, token]) => token),
  );
  for (const token of thrown) expect(kept.has(token)).toBe(true);
});

test("what the model gives and what the filters leave are PyTorch's", async ({ page }) => {
  await open(page, "dice?top_k=40&top_p=0.9&min_p=0.02&temperature=1.3");
  const cards = page.locator(".steps .card");
  await expect(cards).toHaveCount(5);
  const [left, logits] = await expected<[number[], number[]]>(
    await shownLine(page),
    `${LOOK}.activations["logits"][-1]`,
  );
  const found = await page.evaluate(async (text) => [...(await tank.next(tank.tokenizer.render(text).ids))], TEXT);
  expect(found.length).toBe(logits.length);
  found.forEach((logit, token) => near(logit, logits[token]!, `the logit of token ${token}`));

  const kept = left.filter((share) => share > 0).length;
  const last = page.locator(".steps .card:not(.idle)").last(); // an idle filter shows no figures
  await expect(last).toContainText(kept === 1 ? "1 token left" : `${kept} tokens left`);
  const given = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = given.reduce((a, b) => a + b);
  const likeliest = [...given.keys()].sort((a, b) => given[b]! - given[a]!).slice(0, 5);
  for (const [rank, token] of likeliest.entries()) {
    const share = (card: Locator) => card.locator("tbody tr").nth(rank).locator(".number").first();
    await expect(share(cards.first())).toHaveText(written(given[token]! / sum));
    await expect(share(last)).toHaveText(written(left[token]!));
  }
});

test("the same seed throws the same; greedy has no dice", async ({ page }) => {
  await open(page, "dice?seed=4");
  const thrown = page.locator("[data-thrown]");
  const first = (await thrown.getAttribute("data-thrown"))!;
  await page.getByRole("button", { name: "Throw again" }).click();
  await expect(thrown).not.toHaveAttribute("data-thrown", first);
  await expect(page).toHaveURL(/seed=5/);
  await open(page, "dice?seed=4");
  await expect(thrown).toHaveAttribute("data-thrown", first);

  await open(page, "dice?temperature=0");
  await expect(page.getByText("At temperature 0 there are no dice")).toBeVisible();
  await expect(thrown).toHaveCount(0);
});

test("a token of the text moves the dice there", async ({ page }) => {
  await open(page, "dice");
  const steps = page.locator(".steps");
  await expect(steps).toHaveAttribute("data-after", new RegExp(`\\.${manifest.tokens.answer.id}$`)); // the mark after which he answers
  await page.getByRole("button", { name: "␣new", exact: true }).click();
  const ids = await page.evaluate(() => tank.tokenizer.render("i got you a new").ids.slice(0, -1).join("."));
  await expect(steps).toHaveAttribute("data-after", ids);
  await expect(page).toHaveURL(/place=6/);
});
