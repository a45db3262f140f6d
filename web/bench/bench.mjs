// How fast the page is, in the browser that a reader has: `npm run bench [-- --json] [--runs N]`.
// TANK_MODEL: the exported folder; TANK_DIST: the built page. Each figure is a median with its quartiles.
import { gzipSync } from "node:zlib";
import { parseArgs } from "node:util";

import { chromium } from "@playwright/test";

import { serve } from "../scripts/serve.mjs";

const { values } = parseArgs({ options: { json: { type: "boolean" }, runs: { type: "string", default: "9" } } });
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs is a whole number, 1 or more");

const server = await serve({ dist: process.env.TANK_DIST ?? "dist", model: process.env.TANK_MODEL ?? "model" });
const address = `http://127.0.0.1:${server.address().port}/`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

/** [lower quartile, median, upper quartile] */
function quartiles(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return [0.25, 0.5, 0.75].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
}

/** A page in a browser that has kept nothing of it, its fish just opened; `asked` is what it loaded. */
async function opened() {
  const page = await (await browser.newContext({ serviceWorkers: "block", reducedMotion: "reduce" })).newPage();
  const asked = new Set();
  page.on("request", (request) => request.url().startsWith(address) && asked.add(request.url()));
  const started = performance.now();
  await page.goto(`${address}#/talk?temperature=0`);
  await page.locator(".tokens button").first().waitFor();
  const first = performance.now() - started;
  await page.locator("[data-over=true]").waitFor();
  return { page, asked, first };
}

async function size(asked) {
  const found = { scripts: 0, scriptsPacked: 0, all: 0, allPacked: 0 };
  for (const url of asked) {
    const body = Buffer.from(await (await fetch(url)).arrayBuffer());
    const packed = Math.min(body.length, gzipSync(body, { level: 9 }).length);
    found.all += body.length;
    found.allPacked += packed;
    if (url.endsWith(".js") && !/worker|offline/.test(url)) {
      found.scripts += body.length;
      found.scriptsPacked += packed;
    }
  }
  return found;
}

const first = [];
for (let n = 0; n < Math.max(1, Math.ceil(runs / 3)); n++) {
  const { page, first: milliseconds } = await opened();
  first.push(milliseconds);
  await page.context().close();
}
const { page, asked } = await opened();
const bytes = await size(asked);

// In the page: what a reader waits for, the worker's answer included.
const measured = await page.evaluate(async (runs) => {
  const prompt = "i got you a new castle";
  const wild = { temperature: 5, top_k: 0, top_p: 1, min_p: 0 }; // so hot that he hardly ever ends: long replies
  const { ids } = tank.tokenizer.render(prompt);
  const names = ["tokens", "positions", "embedded"];
  const inAttention = ["q", "k", "v", "scores", "pattern", "mixed"].map((name) => `attention.${name}`);
  const inBlock = [
    ...inAttention,
    "mlp.before",
    "mlp.fired",
    "attention_added",
    "mlp_added",
    "residual_middle",
    "residual",
  ];
  for (let layer = 0; layer < tank.manifest.model.layers; layer++)
    names.push(...inBlock.map((name) => `blocks.${layer}.${name}`));
  names.push("logits");

  async function reply(seed, recompute) {
    const started = performance.now();
    const at = [];
    for await (const step of tank.reply({ prompt, seed, sampling: wild, recompute })) {
      void step;
      at.push(performance.now() - started);
    }
    return at;
  }
  const result = { first: [], speed: [], kept: [], again: [], tokens: [], outputs: [], names: names.length };
  await reply(0, false); // warm
  for (let seed = 1; seed <= runs; seed++) {
    const at = await reply(seed, false);
    const again = await reply(seed, true);
    result.tokens.push(at.length);
    result.first.push(at[0]);
    result.speed.push((1000 * (at.length - 1)) / (at.at(-1) - at[0]));
    result.kept.push((at.at(-1) - at[0]) / (at.length - 1));
    result.again.push((again.at(-1) - again[0]) / (again.length - 1));
  }
  const forty = Array.from({ length: 40 }, (_, place) => ids[place % ids.length]);
  await tank.look({ ids: forty, want: names });
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    await tank.look({ ids: forty, want: names });
    result.outputs.push(performance.now() - started);
  }
  return result;
}, runs);

const ranking = [];
for (let run = 0; run < Math.max(1, Math.ceil(runs / 3)); run++) {
  await page.goto("about:blank");
  await page.goto(`${address}#/ablate`);
  await page.locator('[data-reply="whole-1"]', { hasNotText: "computing" }).waitFor();
  await page.getByRole("button", { name: /^Rank all/ }).click();
  const told = await page.getByText(/together: [\d.]+ seconds/).textContent();
  ranking.push(1000 * Number(/together: ([\d.]+)/.exec(told)[1]));
}
await browser.close();
server.close();

const result = {
  first_open_ms: quartiles(first),
  first_token_warm_ms: quartiles(measured.first),
  tokens_per_second: quartiles(measured.speed),
  tokens_of_a_reply: quartiles(measured.tokens),
  forty_tokens_all_outputs_ms: quartiles(measured.outputs),
  outputs: measured.names,
  ranking_all_parts_ms: quartiles(ranking),
  cached_token_ms: quartiles(measured.kept),
  recomputed_token_ms: quartiles(measured.again),
  ratio: quartiles(measured.again.map((time, run) => time / measured.kept[run])),
  first_load_scripts_bytes: bytes.scripts,
  first_load_scripts_gzipped: bytes.scriptsPacked,
  transfer_bytes: bytes.all,
  transfer_gzipped: bytes.allPacked,
};
if (values.json) console.log(JSON.stringify(result, null, 1));
else {
  const span = ([low, middle, high], digits = 0) =>
    `${middle.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
  const lines = [
    ["first open, to the first token, nothing kept", `${span(result.first_open_ms)} ms`, ""],
    ["first token, warm", `${span(result.first_token_warm_ms)} ms`, "150 ms"],
    [
      `a reply of ${span(result.tokens_of_a_reply)} tokens`,
      `${span(result.tokens_per_second)} tokens/s`,
      "60 tokens/s",
    ],
    [`40 tokens with all ${result.outputs} outputs`, `${span(result.forty_tokens_all_outputs_ms)} ms`, "150 ms"],
    ["ranking all parts", `${span(result.ranking_all_parts_ms)} ms`, "2000 ms"],
    ["a later token with the cache", `${span(result.cached_token_ms, 1)} ms`, ""],
    ["a later token, everything read again", `${span(result.recomputed_token_ms, 1)} ms`, ""],
    ["so many times as long", span(result.ratio, 1), ""],
    ["scripts of the first load", `${result.first_load_scripts_gzipped} bytes gzipped`, "150000 bytes"],
    [
      "all that it loads",
      `${result.transfer_gzipped} bytes gzipped, ${result.transfer_bytes} as they are`,
      "15000000 bytes",
    ],
  ];
  for (const [what, found, wanted] of lines)
    console.log(`${what.padEnd(46)} ${found}${wanted && `   wanted: ${wanted}`}`);
}
