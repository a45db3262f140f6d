/** tank.html: one file, opened from a disk, with the network off. */

import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { expect, go, manifest, MODEL, test, views } from "./tank";

test("one file, no server, no network: the same reply, and every view", async ({ page, context, asked }) => {
  test.slow();
  const file = process.env.TANK_ONE_FILE ?? test.info().outputPath("tank.html");
  if (!process.env.TANK_ONE_FILE) execFileSync("node", ["scripts/one-file.mjs", MODEL, file], { stdio: "inherit" });
  expect(statSync(file).size).toBeGreaterThan(5_000_000);
  await context.setOffline(true);
  await page.goto(`${pathToFileURL(file).href}#/talk?temperature=0`);
  const { reply } = manifest.golden.find(({ prompt }) => prompt === "i got you a new castle") ?? manifest.golden[0]!;
  await expect(page.locator("li:last-child [data-over=true]")).toHaveAttribute("data-reply", reply);
  for (const view of await views(page)) {
    await go(page, view);
    await expect(page.locator("[role=alert]:not(:empty)")).toHaveCount(0);
  }
  for (const { step } of manifest.checkpoints) {
    await expect(page.locator(`li[data-step="${step}"]`)).toHaveAttribute("data-reply", /^/); // younger weights are in it too
  }
  await page.getByRole("button", { name: "Licences" }).click();
  await expect(page.getByRole("dialog").getByRole("region")).toContainText("onnxruntime-web 1.");
  const names = await page.evaluate(
    (ids) => tank.look({ ids, want: ["blocks.0.attention.pattern"] }).then(Object.keys),
    manifest.golden[0]!.prompt_ids,
  );
  expect(names).toEqual(["blocks.0.attention.pattern"]);
  expect(asked.filter((url) => !/^(file|blob|data|about):/.test(url))).toEqual([]);
});
