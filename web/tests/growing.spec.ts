import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Metrics } from "../src/engine/manifest";
import { expect, manifest, MODEL, open, python, test } from "./tank";

interface Age {
  step: number;
  reply: string;
  attention: number[][][][]; // [layer][head][row][column]
}
const CASTLE = "i got you a new castle";
const metrics = JSON.parse(readFileSync(join(MODEL, "metrics.json"), "utf8")) as Metrics;

test("replies and attention of each age are PyTorch's", async ({ page }) => {
  const ages = await python<Age[]>("growing", CASTLE);
  await open(page, "growing?temperature=0&layer=1&head=2");
  const slider = page.getByRole("slider", { name: "Age" });
  for (const [place, { step, reply, attention }] of ages.entries()) {
    const entry = page.locator(`li[data-step="${step}"]`);
    await expect(entry).toHaveAttribute("data-reply", reply, { timeout: 90_000 });
    await slider.fill(String(place));
    const map = page.locator(`.map[data-age="${step}"]`);
    await expect(map).toBeVisible();
    await expect(map).toHaveAttribute("data-layer", "1");
    const last = attention[1]![2]!.at(-1)!;
    const share = Number(await page.locator("[data-last]").getAttribute("data-last"));
    expect(Math.abs(share - Math.max(...last))).toBeLessThan(1e-4);
    const cells = map.locator("tbody tr").last().locator("td");
    await expect(cells).toHaveCount(last.length);
    for (const [column, chance] of last.entries()) {
      const text = (await cells.nth(column).textContent())!;
      const shown = text.includes("<") ? 0 : parseFloat(text) / 100;
      expect(Math.abs(shown - chance), `${step} ${column}`).toBeLessThan(0.006);
    }
  }
  await expect(page).not.toHaveURL(/at=/); // the grown one needs no mention
});

test("the slider, by keyboard, goes to younger weights and into the address", async ({ page }) => {
  await open(page, "growing?temperature=0");
  const steps = manifest.checkpoints.map(({ step }) => step);
  const slider = page.getByRole("slider", { name: "Age" });
  await slider.focus();
  await page.keyboard.press("ArrowLeft");
  const younger = steps.at(-2)!;
  await expect(page).toHaveURL(new RegExp(`at=${younger}`));
  await expect(page.locator("li.picked")).toHaveAttribute("data-step", String(younger));
  await expect(page.locator("section pre")).toContainText(
    `checkpoints/step_${String(younger).padStart(6, "0")}.safetensors`,
  );
});

test("the table holds the looks at the validation rows, and the gravel is the floor", async ({ page }) => {
  await open(page, "growing?temperature=0");
  await page.getByText("The curve in figures").click();
  const rows = page.locator("details tbody tr");
  await expect(rows).toHaveCount(metrics.looks.length);
  const { step, tokens, loss, gap } = metrics.looks.at(-1)!;
  const sides = Math.exp(loss); // a fish that has hardly learned has many, and they are shown whole
  await expect(rows.last().locator("td")).toHaveText([
    step.toLocaleString("en"),
    tokens.toLocaleString("en"),
    loss.toFixed(3),
    `${sides < 10 ? sides.toFixed(1) : Math.round(sides).toLocaleString("en")} sides`,
    gap.toFixed(3),
  ]);
  // The thick curve ends above the gravel by the gap, on the picture's own scale: both distances from the ground.
  const ground = await page
    .locator(".gravel")
    .evaluate((rect) => Number(rect.getAttribute("y")) + Number(rect.getAttribute("height")));
  const top = Number(await page.locator(".gravel").getAttribute("y"));
  const end = Number(await page.locator("circle.look").last().getAttribute("cy"));
  expect((ground - end) / (ground - top)).toBeCloseTo(loss / metrics.floor!, 2);
});

test("a folder with only the grown fish says how to get younger ones", async ({ page }) => {
  await page.route("**/manifest.json", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...((await response.json()) as object), checkpoints: [] } });
  });
  await open(page, "growing?temperature=0");
  await expect(page.getByText("there are no younger weights to ask")).toBeVisible();
  await expect(page.locator("ol li")).toHaveCount(1);
  const golden = manifest.golden.find(({ prompt }) => prompt === CASTLE)!;
  await expect(page.locator("ol li")).toHaveAttribute("data-reply", golden.reply);
});

test("other dice, other replies; the same dice, the same", async ({ page }) => {
  await open(page, "growing?seed=3&temperature=1.2");
  const youngest = page.locator("ol li").first();
  await expect(youngest).toHaveAttribute("data-reply", /.+/);
  const first = (await youngest.getAttribute("data-reply"))!;
  await page.getByRole("button", { name: "Other dice" }).click();
  await expect(page).toHaveURL(/seed=4/);
  await expect(youngest.locator(".reply")).toBeVisible();
  expect(await youngest.getAttribute("data-reply")).not.toBe(first);
});
