/** The heads against PyTorch: what the page shows is what the Python lines give. */

import { accessible, expected, held, LOOK, near, number, shownLine, TEXT, written } from "./glass";
import { expect, manifest, open, test } from "./tank";

const { layers, heads } = manifest.model;

test("each small map is painted with the model's own shares, and the head that looks hardest is open", async ({
  page,
}) => {
  const [patterns] = await expected<[number[][][][]]>(`${LOOK}.attention`);
  await open(page, "attention");
  const maps = page.locator("[data-head]");
  await expect(maps).toHaveCount(layers * heads);
  const side = patterns[0]![0]!.length;
  for (const [layer, head] of [
    [0, 0],
    [layers - 1, heads - 1],
    [1, 2],
  ] as const) {
    const painted = await page.locator(`[data-head="${layer}.${head}"] canvas`).evaluate((element, side) => {
      const canvas = element as HTMLCanvasElement;
      const step = canvas.width / side;
      const middle = (place: number): number => Math.floor((place + 0.4) * step);
      const brush = canvas.getContext("2d")!;
      return Array.from({ length: side }, (_, row) =>
        Array.from(
          { length: side },
          (_, column) => brush.getImageData(middle(column), middle(row), 1, 1).data[3]! / 255,
        ),
      );
    }, side);
    painted.forEach((row, from) =>
      row.forEach((alpha, to) => expect(Math.abs(alpha - patterns[layer]![head]![from]![to]!)).toBeLessThan(0.005)),
    );
  }
  const hardest = patterns
    .flatMap((layer, l) => layer.map((map, h) => ({ l, h, most: Math.max(...map.at(-1)!.slice(1, -1)) })))
    .sort((a, b) => b.most - a.most)[0]!;
  await expect(page.locator(`[data-head="${hardest.l}.${hardest.h}"]`)).toHaveAttribute("aria-pressed", "true");
  await expect(page.locator("#one-head")).toContainText(`layer ${hardest.l}, head ${hardest.h}`);
});

test("the Python line of a picked head gives the large map; a row's shares are a softmax of its scores", async ({
  page,
}) => {
  await open(page, "attention?layer=3&head=4");
  const [pattern, scores] = await expected<[number[][], (number | null)[][]]>(
    await shownLine(page),
    `${LOOK}.activations["blocks.3.attention.scores"][4]`,
  );
  for (const [from, row] of pattern.entries()) {
    for (const [to, share] of row.entries()) {
      const cell = page.locator(`[data-cell="${from}-${to}"]`);
      if (to > from) await expect(cell).toHaveCount(0);
      else await expect(cell).toHaveText(written(share));
    }
  }
  await page.locator(`[data-cell="5-2"]`).click();
  await expect(page).toHaveURL(/from=5/);
  const bars = page.locator("section[aria-labelledby=row] tbody tr");
  await expect(bars).toHaveCount(6);
  for (const [to, bar] of (await bars.all()).entries()) {
    await expect(bar.locator(".number").first()).toHaveText(written(pattern[5]![to]!));
    expect(Math.abs(number(await bar.locator(".number").nth(1).innerText()) - scores[5]![to]!)).toBeLessThan(0.0051);
  }
});

test("scores, mask, weighted sum: each step's numbers are PyTorch's", async ({ page }) => {
  const parts = `a = ${LOOK}.activations; q, k, v = (a[f"blocks.1.attention.{n}"][2] for n in "qkv")`;
  const [raw, shares, values, mixed] = await expected<[number[][], number[][], number[][], number[][]]>(
    `${parts}; q @ k.T / 8`,
    `${LOOK}.attention[1, 2]`,
    `${parts}; v`,
    `${LOOK}.activations["blocks.1.attention.mixed"][2]`,
  );
  const time = raw.length;
  await open(page, "attention?layer=1&head=2&step=scores");
  const cells = page.locator("[data-cell]");
  await expect(cells).toHaveCount(time * time);
  for (const [from, to] of [
    [0, time - 1],
    [time - 1, 0],
    [3, 3],
  ] as const) {
    expect(
      Math.abs(number(await page.locator(`[data-cell="${from}-${to}"]`).innerText()) - raw[from]![to]!),
    ).toBeLessThan(0.051);
  }
  await page.getByText("2 mask").click();
  await expect(cells).toHaveCount((time * (time + 1)) / 2);

  await page.getByText("4 weighted sum").click();
  await page.locator(`[data-cell="6-0"]`).click();
  const sum = page.locator("section[aria-labelledby=row]");
  await sum.getByText("All 64 numbers").click();
  const shown = shares[6]!.map((share, at) => ({ share, at })).filter(({ share }) => share >= 0.01);
  const rest = shares[6]!.some((share) => share > 0 && share < 0.01) ? 1 : 0;
  await expect(sum.locator("thead th")).toHaveCount(shown.length + rest + 2);
  for (const row of [0, 31, 63]) {
    const numbers = (await sum.locator("tbody tr").nth(row).locator("td").allInnerTexts()).map(number);
    shown.forEach(({ share, at }, column) => near(numbers[column]!, share * values[at]![row]!, "value times share"));
    near(numbers.at(-1)!, mixed[6]![row]!, "mixed");
    expect(Math.abs(numbers.slice(0, -1).reduce((a, b) => a + b) - numbers.at(-1)!)).toBeLessThan(
      1e-4 * numbers.length,
    );
  }
});

test("a pair's dot product, number by number", async ({ page }) => {
  const head = (name: string): string => `${LOOK}.activations["blocks.2.attention.${name}"][1, 4]`;
  const [query, key, score, share] = await expected<[number[], number[], number, number]>(
    head("q"),
    `${LOOK}.activations["blocks.2.attention.k"][1, 3]`,
    `${head("scores")}[3]`,
    `${head("pattern")}[3]`,
  );
  await open(page, "attention?layer=2&head=1&from=4&to=3");
  const pair = page.locator("section[aria-labelledby=pair]");
  near(await held(page, "data-score"), score, "score");
  near((await held(page, "data-sum")) / Math.sqrt(query.length), score, "sum / root");
  expect(/a share of (.*? %)/.exec(await pair.innerText())![1]).toMatch(written(share));
  await pair.getByText("All 64 numbers").click();
  const rows = await pair.locator("tbody tr").all();
  expect(rows.length).toBe(query.length);
  for (const [i, row] of rows.entries()) {
    const numbers = (await row.locator("td").allInnerTexts()).map(number);
    [query[i]!, key[i]!, query[i]! * key[i]!].forEach((wanted, column) =>
      near(numbers[column]!, wanted, `number ${i}`),
    );
  }
  await expect(pair.locator("svg").first().locator("rect")).toHaveCount(query.length);
});

test("without the mask everybody looks ahead, and the guess moves", async ({ page }) => {
  await open(page, "attention");
  await page.getByLabel("Causal mask").uncheck();
  await expect(page.locator("[data-ahead]")).toBeVisible();
  const unmasked = await shownLine(page);
  expect(unmasked).toContain("mask.zero_()");
  const [pattern, nats] = await expected<[number[][][][], number]>(
    unmasked,
    `fish = guppylm.load(); p = fish.look("${TEXT}").probabilities[-1]; [block.attention.mask.zero_() for block in fish.model.blocks]; q = fish.look("${TEXT}").probabilities[-1]; (p * (p / q).log()).sum()`,
  );
  const rows = pattern.flat(2).map((row, i) => row.slice((i % row.length) + 1).reduce((a, b) => a + b, 0));
  near(await held(page, "data-ahead"), rows.reduce((a, b) => a + b) / rows.length, "attention ahead");
  near(await held(page, "data-nats"), nats, "KL");
  const time = pattern[0]![0]!.length;
  await expect(page.locator("[data-cell]")).toHaveCount(time * time);
  await page.getByText("4 weighted sum").click();
  await accessible(page);
  await page.getByLabel("Causal mask").check();
  await expect(page.locator("[data-ahead]")).toHaveCount(0);
});

test("the table of heads has the scores of heads.py", async ({ page }) => {
  const scores = (name: string): string =>
    `from guppylm.interpretability import heads; fish = guppylm.load(); heads.${name}(fish.model, [fish.look("${TEXT}").ids])`;
  const [previous, first] = await expected<[number[][], number[][]]>(
    scores("previous_token_scores"),
    scores("first_token_scores"),
  );
  await open(page, "attention");
  await page.getByText("All heads in figures").click();
  const rows = await page.getByRole("region", { name: "All heads in figures" }).locator("tbody tr").all();
  expect(rows.length).toBe(layers * heads);
  for (const [i, row] of rows.entries()) {
    const [layer, head] = [Math.floor(i / heads), i % heads];
    await expect(row.locator(".number")).toHaveText([written(previous[layer]![head]!), written(first[layer]![head]!)]);
  }
});

test("by keyboard; his reply is read too", async ({ page }) => {
  await open(page, "attention?layer=0&head=0");
  await page.locator('[data-head="0.0"]').focus();
  for (const key of ["ArrowRight", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  await expect(page).toHaveURL(/layer=1/);
  await expect(page.locator("#one-head")).toContainText("layer 1, head 1");
  await page.locator('[data-cell="7-7"]').focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/to=6/);

  await page.getByRole("button", { name: "Let him begin" }).click();
  const first = manifest.golden.find(({ prompt }) => prompt === TEXT)!.reply_ids[0]!;
  await expect(page).toHaveURL(new RegExp(`said=${first}`));
  const [longer] = await expected<[number[][]]>(await shownLine(page));
  await expect(page.locator('[data-cell="8-8"]')).toHaveText(written(longer[8]![8]!));
});
