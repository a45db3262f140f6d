// What the page is made of and under which terms: the text of licences.txt, from the packages that a build has really used.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const LICENCE = /^(licen[cs]e|copying|notice)(\.(md|txt))?$/i;

/** The package that a module of a build belongs to; null for the page's own. */
export function packageOf(module: string): string | null {
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(module.replaceAll("\\", "/"))?.[1] ?? null;
}

/** The texts of a package's licence: its own files, or those that licences/ keeps for one that is published without. */
function textsOf(name: string): string[] {
  const kept = join("licences", `${name.replace("/", "-")}.txt`);
  if (existsSync(kept)) return [readFileSync(kept, "utf8")];
  const folder = join("node_modules", name);
  return readdirSync(folder)
    .filter((file) => LICENCE.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), "utf8"));
}

/** licences.txt. An error for a package whose licence stands nowhere. */
export function licences(names: Iterable<string>): string {
  const parts = [...names].sort().map((name) => {
    const told = readFileSync(join("node_modules", name, "package.json"), "utf8");
    const { version, license } = JSON.parse(told) as { version: string; license: string };
    const texts = textsOf(name);
    if (!texts.length) throw new Error(`${name} has no licence file: put its licence into licences/`);
    return [`${name} ${version}, ${license}`, ...texts.map((text) => text.trim())].join("\n\n");
  });
  const own = ["guppylm, MIT", readFileSync("../LICENSE", "utf8").trim()].join("\n\n");
  const line = `\n\n${"=".repeat(80)}\n\n`;
  return `This page is made of the following.${line}${[own, ...parts].join(line)}\n`;
}
