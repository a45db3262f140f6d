import { expect, open, python, test } from "./tank";

interface Chopped {
  ids: number[];
  labels: string[];
  times: number[];
  reply: string;
}
const reference = (text: string): Promise<Record<"lower" | "as it is", Chopped> & { cosine: number }> =>
  python("chop", text);

test("tokens and how often he met them are Python's, with lowercasing and without", async ({ page }) => {
  const text = "I got you a CASTLE, café 🐟";
  const wanted = await reference(text);
  await open(page, `chop?text=${encodeURIComponent(text)}`);
  for (const name of ["lower", "as it is"] as const) {
    if (name === "as it is") await page.getByRole("checkbox").first().uncheck();
    const rows = page.locator("[data-token]");
    await expect(rows).toHaveCount(wanted[name].ids.length);
    const found = await rows.evaluateAll((all) =>
      all.map((row) => [
        Number(row.getAttribute("data-token")),
        Number(row.getAttribute("data-times")),
        row.querySelector("th")!.textContent,
      ]),
    );
    expect(found).toEqual(
      wanted[name].ids.map((id, at) => [id, wanted[name].times[at], wanted[name].labels[at]!.replaceAll("␤", "↵")]),
    );
  }
  await expect(page).toHaveURL(/lower=off/);
});

test("the merges begin with bytes, follow the learnt rules and end with the tokens", async ({ page }) => {
  await open(page, "chop?step=0");
  const text = page.locator(".film .text");
  const pieces = page.locator(".film .piece");
  const bytes = [..."i␣got␣you␣a␣new␣castle"];
  await expect(pieces).toHaveText(bytes);
  const all = Number(await text.getAttribute("data-steps"));
  const words = await page.evaluate(() => tank.tokenizer.replay("i got you a new castle"));
  const ranks = words.flatMap(({ merges }) => merges.map(({ rank }) => rank));
  expect(all).toBe(ranks.length);
  for (let step = 1; step < all; step++) {
    await page.getByRole("button", { name: "Next merge" }).click();
    await expect(text).toHaveAttribute("data-step", String(step));
    await expect(page.locator(".told")).toContainText(`rule ${(ranks[step - 1]! + 1).toLocaleString("en")}.`);
    await expect(pieces).toHaveCount(bytes.length - step); // each merge makes one of two
  }
  await page.getByRole("button", { name: "To the end" }).click();
  await expect(pieces).toHaveText((await reference("i got you a new castle")).lower.labels);
  await expect(page.locator(".told")).toContainText(`${bytes.length} bytes are`);
});

test("HELLO without lowercasing is other tokens, and another answer as in PyTorch", async ({ page }) => {
  const [loud, quiet] = [await reference("HELLO"), await reference("hello")];
  expect(quiet["as it is"].ids).toEqual(loud.lower.ids);
  expect(loud["as it is"].ids).not.toEqual(loud.lower.ids);
  await open(page, "chop");
  const card = (said: string) => page.locator(`[data-said=${said}]`);
  for (const said of ["hello", "HELLO"]) {
    await expect(card(said)).toHaveAttribute("data-ids", quiet.lower.ids.join("."));
    await expect(card(said).locator("[data-answer]")).toHaveAttribute("data-answer", quiet.lower.reply);
  }
  await page.getByRole("checkbox").last().uncheck();
  await expect(card("HELLO")).toHaveAttribute("data-ids", loud["as it is"].ids.join("."));
  await expect(card("HELLO").locator(`[data-answer="${loud["as it is"].reply}"]`)).toBeVisible();
  await expect(card("hello").locator("[data-answer]")).toHaveAttribute("data-answer", quiet.lower.reply);
  const cosine = Number(await page.locator("[data-cosine]").getAttribute("data-cosine"));
  expect(Math.abs(cosine - loud.cosine)).toBeLessThan(1e-4);
});

test("it plays by itself and can be paused", async ({ page }) => {
  await open(page, "chop?step=0");
  await page.getByRole("button", { name: "Play" }).click();
  await expect(page).toHaveURL(/step=3/);
  await page.getByRole("button", { name: "Pause" }).click();
  const step = await page.locator(".film .text").getAttribute("data-step");
  await page.waitForTimeout(1000);
  await expect(page.locator(".film .text")).toHaveAttribute("data-step", step!);
});
