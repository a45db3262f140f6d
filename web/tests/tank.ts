/** What every test of the page needs: the model's manifest, a page that tells of its errors and requests, figures of PyTorch. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

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

/** What stands in a view only once its numbers are there. */
const NUMBERS: Readonly<Record<string, string>> = {
  talk: "li:last-child [data-over=true]",
  guess: ".reply[data-ready=true]",
  chop: "[data-token]",
  attention: "[data-cell]",
  layers: "[data-found]",
  ablate: "p[data-nats]",
  dice: ".steps .card",
  growing: "li[data-reply]",
};

/** The names of all views, from the navigation. */
export async function views(page: Page): Promise<string[]> {
  const links = await page.locator("nav a").evaluateAll((found) => found.map((link) => link.getAttribute("href")!));
  const names = links.map((href) => /#\/(\w+)/.exec(href)![1]!);
  expect(names).toEqual(Object.keys(NUMBERS));
  return names;
}

/** Waits until this view is open and has its numbers. */
export async function settled(page: Page, view: string): Promise<void> {
  await expect(page.locator(`nav a[href^="#/${view}"]`)).toHaveAttribute("aria-current", "page");
  await expect(page.locator(NUMBERS[view]!).first()).toBeVisible();
}

/** To another view, as a reader goes there: the fish stays. */
export async function go(page: Page, view: string): Promise<void> {
  await page.locator(`nav a[href^="#/${view}"]`).click();
  await settled(page, view);
}

interface Answer {
  readonly answer?: unknown;
  readonly error?: string;
}

let asking: { ask(question: string): void; next(): Promise<IteratorResult<string, undefined>> } | undefined;

/** What a function of figures.py gives. Python is started once and then kept: to load torch takes longer than to answer. */
export async function python<T>(name: string, ...args: string[]): Promise<T> {
  if (!asking) {
    const files = [join(import.meta.dirname, "figures.py"), MODEL];
    const { stdin, stdout } = spawn(process.env.PYTHON ?? "python3", files, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    asking = { ask: (question) => stdin.write(`${question}\n`), next: () => lines.next() };
  }
  asking.ask(JSON.stringify([name, ...args]));
  const { done, value } = await asking.next();
  if (done) throw new Error("figures.py has ended: does PYTHON have guppylm in it?");
  const { answer, error } = JSON.parse(value) as Answer;
  if (error !== undefined) throw new Error(error);
  return answer as T;
}
