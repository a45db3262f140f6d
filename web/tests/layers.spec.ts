/** The logit lens and what each part added, against PyTorch. */

import { accessible, expected, held, LOOK, near, shownLine, written } from "./glass";
import { expect, manifest, open, test } from "./tank";

const { layers } = manifest.model;

test("every cell is what he would say if he stopped there", async ({ page }) => {
  await open(page, "layers?halves=on");
  const [guesses] = await expected<[[number, string, number][][][]]>(
    `look = ${LOOK}; [[look.guesses(p, 1, s) for p in range(len(look.ids))] for s in range(len(look.stages))]`,
  );
  expect(guesses.length).toBe(2 * layers + 1);
  const cells = page.locator("section[aria-labelledby=lens] [data-cell]");
  await expect(cells).toHaveCount(guesses.length * guesses[0]!.length);
  for (const [stage, row] of guesses.entries()) {
    for (const [position, [[token, text, chance]]] of (row as [[number, string, number]][]).entries()) {
      const mark = Object.values(manifest.tokens).some(
        (one) => typeof one === "object" && "id" in one && one.id === token,
      );
      const shown = await page.locator(`[data-cell="${stage}-${position}"]`).innerText();
      if (mark) expect(shown).toMatch(/^\[\w+\] /);
      else expect(shown.slice(0, text.length)).toBe(text);
      expect(shown, `PyTorch ${chance}`).toMatch(written(chance));
    }
  }
});

test("the Python line of a picked cell gives its guesses and the parts of a logit", async ({ page }) => {
  await open(page, "layers");
  const parts = page.locator("[data-found]");
  const found = async (): Promise<[string, number][]> =>
    JSON.parse((await parts.getAttribute("data-found"))!) as [string, number][];
  const agree = async (line: string): Promise<void> => {
    const [wanted] = await expected<[Record<string, number>]>(line);
    await expect(async () => {
      // the parts are computed after the choice shows
      const shown = await found();
      expect(shown.map(([name]) => name)).toEqual(Object.keys(wanted));
      for (const [name, share] of shown) near(share, wanted[name]!, name);
    }).toPass({ timeout: 30_000 });
  };
  await parts.waitFor();
  await agree(`look = ${LOOK}; look.contributions(-1, look.guesses()[0].token)`);
  const [logit] = await expected<[number]>(`${LOOK}.activations["logits"][-1].max()`);
  near(await held(page, "data-sum"), logit, "the sum");

  await page.locator('[data-cell="3-5"]').click(); // the stage after layer 2
  const list = page.locator("section[aria-labelledby=cell] tbody tr");
  await expect(page.locator("section pre")).toContainText("look.guesses(5, stage=6)");
  const [guesses] = await expected<[[number, string, number][]]>(await shownLine(page));
  for (const [rank, [, text, chance]] of guesses.entries()) {
    await expect(list.nth(rank).locator("th")).toHaveText(text);
    await expect(list.nth(rank).locator(".number")).toHaveText(written(chance));
  }

  await list.nth(1).getByRole("button").click();
  await page.getByRole("group", { name: "more than to" }).getByRole("button").nth(1).click();
  await expect(page).toHaveURL(/against=\d+/);
  await expect(page.locator("section pre")).toContainText("against=");
  await expect.poll(async () => (await page.locator("#added").innerText()).includes(guesses[1]![1])).toBe(true);
  await agree(await shownLine(page));
});

test("the stream's length and the way of one token", async ({ page }) => {
  await open(page, "layers?show=length");
  const [lengths, way] = await expected<[number[][], number[]]>(
    `${LOOK}.residuals.norm(dim=-1)`,
    `look = ${LOOK}; look.lens[:, -1].softmax(-1)[:, look.guesses()[0].token]`,
  );
  for (const stage of [0, 3, layers]) {
    for (const position of [0, 4])
      await expect(page.locator(`[data-cell="${stage}-${position}"]`)).toHaveText(
        lengths[2 * stage]![position]!.toFixed(1),
      );
  }
  const bars = page.locator("section[aria-labelledby=way] tbody tr .number");
  await expect(bars).toHaveText(way.filter((_, stage) => stage % 2 === 0).map(written));
});

test("by keyboard; nothing for axe to find", async ({ page }) => {
  await open(page, "layers");
  const last = page.locator(`[data-cell="${layers}-7"]`);
  await last.focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`stage=${2 * layers - 2}`));
  await accessible(page);
});
