/** Parts switched off, against `fish.ablate` of Python. */

import type { Page } from "@playwright/test";

import { accessible, expected, held, near, shownLine, TEXT, written } from "./glass";
import { expect, manifest, open, test } from "./tank";

const { layers, heads } = manifest.model;
const nats = (page: Page): Promise<number> => held(page, "data-nats");

test("with parts off the next token, the nats and the likeliest reply are Python's", async ({ page }) => {
  await open(page, "ablate");
  await expect(page.locator("p[data-nats]")).toBeVisible();
  expect(await nats(page)).toBe(0);
  await expect(page.locator('[data-reply="whole-0"]')).toHaveText(
    manifest.golden.find(({ prompt }) => prompt === TEXT)!.reply,
  );

  await page.getByRole("switch", { name: "layer 1, head 2" }).click();
  await page.getByRole("switch", { name: "layer 0, MLP" }).click();
  await expect(page).toHaveURL(/off=0m.1h2/);
  await expect(page.locator("p[data-nats]")).toContainText("layer 0, MLP and layer 1, head 2");
  const ablated = 'guppylm.load().ablate(["blocks.0.mlp", "blocks.1.attention.head.2"])';
  const [kl, shares, before, reply] = await expected<[number, number[], number[], string]>(
    await shownLine(page),
    `${ablated}.look("${TEXT}").probabilities[-1]`,
    `guppylm.load().look("${TEXT}").probabilities[-1]`,
    `${ablated}.reply("${TEXT}", sampling=guppylm.SamplingConfig(temperature=0))`,
  );
  near(await nats(page), kl, "KL");
  const order = (numbers: number[]): number[] => [...numbers.keys()].sort((a, b) => numbers[b]! - numbers[a]!);
  const bars = page.locator("section[aria-labelledby=next] tbody tr");
  for (const token of new Set([order(shares)[0]!, order(before)[0]!])) {
    const label = await page.evaluate((token) => tank.tokenizer.label(token), token);
    const bar = bars.filter({ has: page.getByRole("rowheader", { name: label, exact: true }) });
    await expect(bar.locator(".number").first()).toHaveText(written(shares[token]!));
    await expect(bar.locator(".number").nth(1)).toHaveText(written(before[token]!));
  }
  await expect(page.locator('[data-reply="changed-0"]')).toHaveText(reply);

  const drawn = await page.evaluate(
    async ([prompt, layers, heads]) => {
      const gates = {
        heads: Array.from({ length: layers }, () => Array<number>(heads).fill(1)),
        mlps: Array<number>(layers).fill(1),
      };
      gates.mlps[0] = 0;
      gates.heads[1]![2] = 0;
      const said: string[] = [];
      for (const chosen of [undefined, gates]) {
        const ids: number[] = [];
        const sampling = { temperature: 0.7, top_k: 0, top_p: 1, min_p: 0 };
        for await (const step of tank.reply({ prompt, seed: 1, sampling, ...(chosen ? { gates: chosen } : {}) })) {
          ids.push(step.token);
          if (ids.length === tank.manifest.tokens.kept_for_reply) break;
        }
        said.push(tank.tokenizer.decode(ids).trim());
      }
      return said;
    },
    [TEXT, layers, heads] as [string, number, number],
  );
  await expect(page.locator('[data-reply="whole-1"]')).toHaveText(drawn[0]!);
  await expect(page.locator('[data-reply="changed-1"]')).toContainText(drawn[1]!);

  await page.getByRole("button", { name: "All on again" }).click();
  await expect(page).not.toHaveURL(/off=/);
  await expect.poll(() => nats(page)).toBe(0);
});

test("a whole layer", async ({ page }) => {
  await open(page, "ablate");
  await page.getByRole("switch", { name: "layer 3", exact: true }).click();
  await expect(page.getByRole("switch", { checked: false })).toHaveCount(heads + 2); // its heads, its MLP, the layer itself
  await expect(page.locator("p[data-nats]")).toContainText(`${heads + 1} parts`);
  const [kl] = await expected<[number]>(await shownLine(page));
  near(await nats(page), kl, "KL");
});

test("all parts ranked, each figure that of an ablated fish", async ({ page }) => {
  await open(page, "ablate");
  await expect(page.locator('[data-reply="whole-1"]')).not.toHaveText("computing \u2026"); // the engine is free
  await page.getByRole("button", { name: `Rank all ${layers * (heads + 1)} parts` }).click();
  await page.getByRole("button", { name: "Show all" }).click();
  const rows = page.locator("[data-part]");
  await expect(rows).toHaveCount(layers * (heads + 1));
  const shown = await rows.evaluateAll((found) =>
    found.map((row) => [row.getAttribute("data-part")!, Number(row.getAttribute("data-nats"))] as const),
  );
  const [wanted] = await expected<[Record<string, number>]>(
    `from guppylm.interpretability.interventions import parts; fish = guppylm.load(); p = fish.look("${TEXT}").probabilities[-1]; kl = lambda q: float((p * (p / q).log()).sum()); {name: kl(fish.ablate(name).look("${TEXT}").probabilities[-1]) for name in parts(fish.model) if name.endswith("mlp") or ".head." in name}`,
  );
  expect(new Set(shown.map(([name]) => name))).toEqual(new Set(Object.keys(wanted)));
  for (const [name, kl] of shown) near(kl, wanted[name]!, name);
  expect(shown.map(([, kl]) => kl)).toEqual(shown.map(([, kl]) => kl).sort((a, b) => b - a));
  await expect(page.locator("section[aria-labelledby=ranking]")).toContainText(/together: [\d.]+ seconds/);

  await accessible(page);
  await rows.first().getByRole("button").click();
  await expect.poll(() => nats(page)).toBeCloseTo(shown[0]![1], 4);
});

test("by keyboard; what an address says wrongly is left out", async ({ page }) => {
  await open(page, "ablate?off=0h0.99h1.x.2m");
  await expect(page.getByRole("switch", { checked: false })).toHaveCount(2);
  await page.getByRole("switch", { name: "layer 0, head 0" }).focus();
  for (const key of ["Space", "ArrowDown", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  await expect(page).toHaveURL(/off=1h1.2m/);
});
