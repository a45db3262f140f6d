/** What every test of the page needs: the model's manifest, a page that tells of its errors and requests, figures of PyTorch. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test as base, type Page } from "@playwright/test";

import type { Manifest } from "../src/engine/manifest";
import type { Engine } from "../src/engine/types";

export const MODEL = process.env.TANK_MODEL ?? "model";
export const manifest = JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as Manifest & {
  tokens: { encoded: { text: string; ids: number[] }[] };
  seen: { examples: { text: string; hash: string }[] };
};

declare global {
  /** The engine, which the page leaves for its readers' console. */
  var tank: Engine;
}

/** A page whose errors fail the test, and which says what it asked for. */
export const test = base.extend<{ asked: string[] }>({
  asked: [
    async ({ page }, use) => {
      const asked: string[] = [];
      const wrong: string[] = [];
      page.context().on("request", (request) => asked.push(request.url()));
      page.on("pageerror", (error) => wrong.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error") wrong.push(message.text());
      });
      await use(asked);
      const expected = test.info().annotations.some(({ type }) => type === "errors expected");
      if (wrong.length && !expected) throw new Error(`errors in the page:\n${wrong.join("\n")}`);
    },
    { auto: true },
  ],
});

export { expect };

/** Opens a view and waits for the fish. */
export async function open(page: Page, hash: string): Promise<void> {
  await page.goto("about:blank"); // another hash alone would not load the page again
  await page.goto(`./#/${hash}`);
  await expect(page.locator("section pre")).toBeVisible();
}

/** Runs one of the Python files beside this one, and gives what it printed as JSON. */
export function python<T>(file: string, ...args: string[]): T {
  const interpreter = process.env.PYTHON ?? "python3";
  const printed = execFileSync(interpreter, [join(import.meta.dirname, file), ...args], { maxBuffer: 1 << 28 });
  return JSON.parse(printed.toString()) as T;
}
