/** What the linter has to refuse, it refuses: draws without a seed, and text that is read as HTML. */

import { ESLint } from "eslint";

import { expect, test } from "./tank";

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["engine/new.ts", "export const roll = (): number => Math.random();", /every draw has a seed/],
  ["engine/new.ts", "const { random } = Math;\nexport const roll = random;", /every draw has a seed/],
  ["views/New.svelte", "<script>let n = Math.random();</script>{n}", /every draw has a seed/],
  ["views/New.svelte", '<script>let a = "<b>";</script>{@html a}', /@html/],
  ["shell/new.ts", "export const show = (e: Element, a: string): string => (e.innerHTML = a);", /as HTML/],
  ["shell/new.ts", "export const show = (e: Element, a: string): string => (e.outerHTML = a);", /as HTML/],
  ["shell/new.ts", 'export const show = (e: Element, a: string) => e.insertAdjacentHTML("beforeend", a);', /as HTML/],
  ["shell/new.ts", "export const run = (a: string): unknown => eval(a);", /eval/],
  ["shell/new.ts", "export const run = (a: string): unknown => new Function(a)();", /Function constructor/],
];

test("each of these is an error", async () => {
  const eslint = new ESLint();
  for (const [name, code, message] of REFUSED) {
    const [result] = await eslint.lintText(code, { filePath: `src/${name}` });
    const errors = result!.messages.filter(({ severity }) => severity === 2).map((found) => found.message);
    expect(errors.join("\n"), code).toMatch(message);
  }
});
