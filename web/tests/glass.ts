/** What the tests of the glass views have in common: PyTorch's figures for lines of Python, and how near is near enough. */

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { percent } from "../src/components/colour";
import { expect, python } from "./tank";

export const TEXT = "i got you a new castle";
export const LOOK = `guppylm.load().look("${TEXT}")`;

/** What each line gives in Python, with the weights of the page. */
export function expected<T extends unknown[]>(...lines: { [K in keyof T]: string }): Promise<T> {
  return python<T>("lines", ...lines);
}

/** The Python line that the page shows. */
export function shownLine(page: Page): Promise<string> {
  return page.locator("section pre").innerText();
}

/** Within 1e-4 of PyTorch. */
export function near(found: number, wanted: number, what: string): void {
  expect(Math.abs(found - wanted), `${what}: ${found}, PyTorch ${wanted}`).toBeLessThan(1e-4);
}

/** A share as the page writes it, if it is within 1e-5 of PyTorch's: on the edge of rounding there are two ways. */
export function written(share: number): RegExp {
  const ways = new Set([share - 1e-5, share, share + 1e-5].map((one) => percent(Math.max(0, one))));
  return new RegExp(`(?:^|\\s)(?:${[...ways].map((way) => way.replace(".", "\\.")).join("|")})\\s*$`);
}

/** A number as the page writes it. */
export function number(shown: string): number {
  return Number(shown.replace("\u2212", "-"));
}

/** A number that an element holds in full. */
export async function held(page: Page, name: string): Promise<number> {
  return Number(await page.locator(`[${name}]`).first().getAttribute(name));
}

export async function accessible(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => [colorScheme, id, nodes[0]?.html])).toEqual([]);
  }
}
