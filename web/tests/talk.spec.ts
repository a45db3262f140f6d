/** The chat: what he says, how sure he was of it, and the other ways that he could have gone. */

import { expected, near, shownLine, TEXT, written } from "./glass";
import { expect, manifest, open, test } from "./tank";

const last = "li:last-child [data-over=true]";

test("the castle is answered at once, greedily as in Python, and the same seed says the same", async ({ page }) => {
  const golden = manifest.golden.find(({ prompt }) => prompt === "i got you a new castle") ?? manifest.golden[0]!;
  await open(page, `talk?text=${encodeURIComponent(golden.prompt)}&temperature=0`);
  await expect(page.locator(last)).toHaveAttribute("data-reply", golden.reply);

  await open(page, "talk?text=tell+me+a+joke&seed=5&temperature=1.5");
  const first = await page.locator(last).getAttribute("data-reply");
  await page.getByRole("button", { name: "Say it" }).click();
  await expect(page.locator("ol > li")).toHaveCount(2);
  await expect(page.locator(last)).toHaveAttribute("data-reply", first!);
  await page.getByRole("button", { name: "Roll again" }).click();
  await expect(page.locator("ol > li")).toHaveCount(3);
  await expect(page.locator(last)).not.toHaveAttribute("data-reply", first!);
  await expect(page).toHaveURL(/seed=6/);

  // The link leads back to the very same reply.
  const said = await page.locator(last).getAttribute("data-reply");
  await expect(page).toHaveURL(/said=/);
  const link = page.url();
  await open(page, link.slice(link.indexOf("#/") + 2));
  await expect(page.locator(last)).toHaveAttribute("data-reply", said!);
});

test("how sure he was of each token, and of others in its place, is PyTorch's", async ({ page }) => {
  await open(page, "talk?temperature=0");
  await expect(page.locator(last)).toBeVisible();
  const reply = (await page.locator(last).getAttribute("data-reply"))!;
  const [said, ids, shares] = await expected<[string, number[], number[][]]>(
    await shownLine(page),
    `list(guppylm.load().look(${JSON.stringify(TEXT)}, ${JSON.stringify(reply)}).ids)`,
    `guppylm.load().look(${JSON.stringify(TEXT)}, ${JSON.stringify(reply)}).probabilities`,
  );
  expect(reply).toBe(said);
  const steps = await page.evaluate(async (prompt) => {
    const found = [];
    const sampling = { temperature: 0, top_k: 0, top_p: 1, min_p: 0 };
    for await (const step of tank.reply({ prompt, sampling, seed: 1 })) found.push(step);
    return { found, asked: tank.tokenizer.render(prompt).ids };
  }, TEXT);
  expect([...steps.asked, ...steps.found.map(({ token }) => token)]).toEqual(ids);
  const place = Math.min(2, steps.found.length - 1);
  for (const [at, { chance, token, alternatives }] of steps.found.entries()) {
    const wanted = shares[steps.asked.length - 1 + at]!;
    near(chance, wanted[token]!, `token ${at}`);
    for (const other of alternatives) near(other.chance, wanted[other.token]!, `${other.token} at ${at}`);
  }
  await page.locator("li:last-child .tokens button").nth(place).click();
  const figures = page.locator("li:last-child .card tbody tr .number");
  await expect(figures).toHaveText(
    steps.found[place]!.alternatives.map(({ token }) => written(shares[steps.asked.length - 1 + place]![token]!)),
  );
});

test("a token shows what else could have been said; another one is another branch", async ({ page }) => {
  await open(page, "talk?temperature=0");
  await expect(page.locator(last)).toBeVisible();
  const steps = await page.evaluate(async () => {
    const found = [];
    const sampling = { temperature: 0, top_k: 0, top_p: 1, min_p: 0 };
    for await (const step of tank.reply({ prompt: "i got you a new castle", sampling, seed: 1 })) found.push(step);
    return found;
  });
  const place = 3;
  await page.locator("li:last-child .tokens button").nth(place).click();
  const rows = page.locator("li:last-child .card tbody tr");
  await expect(rows).toHaveCount(10);
  expect(steps[place]!.alternatives[0]!.token).toBe(steps[place]!.token); // greedy
  const other = steps[place]!.alternatives[1]!;
  await rows.nth(1).getByRole("button").click();
  await expect(page.locator("ol > li")).toHaveCount(2);
  await expect(page.locator(last)).toBeVisible();
  const start = await page.evaluate(
    (ids) => tank.tokenizer.decode(ids),
    [...steps.slice(0, place).map(({ token }) => token), other.token],
  );
  expect((await page.locator(last).getAttribute("data-reply"))!.startsWith(start)).toBe(true);
  await expect(page.locator("li:last-child .facts").first()).toContainText("Another branch from token 4");

  await page.locator("li:last-child .tokens button").nth(1).click();
  await page.getByRole("button", { name: "Rewind to here" }).click();
  await expect(page.locator("ol > li")).toHaveCount(3);
  await expect(page.locator("li:last-child .facts").first()).toContainText("seed 2");
});

test("it can be stopped", async ({ page }) => {
  await open(page, "talk?temperature=5&seed=3");
  const stop = page.getByRole("button", { name: "Stop" });
  await page.locator("li:last-child .tokens button").nth(2).waitFor();
  await stop.click();
  await expect(page.locator(last)).toBeVisible();
  await expect(page.locator("li:last-child .facts").first()).toContainText("Stopped before his end.");
  expect(await page.locator("li:last-child .tokens button").count()).toBeLessThan(manifest.model.context - 12);
  await page.getByRole("button", { name: "hi guppy", exact: true }).click();
  await expect(page.locator("li:last-child .prompt")).toContainText("hi guppy");
});

test("text is text, whatever stands in it", async ({ page }) => {
  const nasty = "<img src=x onerror=alert(1)><|im_end|>\n{{7*7}}";
  await open(page, `talk?text=${encodeURIComponent(nasty)}`);
  await expect(page.locator("li:last-child .prompt")).toContainText("<img src=x onerror=alert(1)><|im_end|>");
  await expect(page.locator("main img")).toHaveCount(0);
  await expect(page.locator(last)).toBeVisible();
});

test("the cache's saving is measured", async ({ page }) => {
  await open(page, "talk?temperature=0");
  await expect(page.locator(last)).toBeVisible();
  await page.getByText("What the cache saves").click();
  await page.getByRole("button", { name: "Measure it" }).click();
  const told = page.getByText(/With the cache [\d.]+ ms a token/);
  await expect(told).toBeVisible();
  expect(Number(/([\d.]+) times/.exec((await told.textContent())!)![1])).toBeGreaterThan(1);
});
