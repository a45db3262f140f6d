/** The page as a whole: it keeps to itself, can be used without a mouse, and says what is wrong. */

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import AxeBuilder from "@axe-core/playwright";
import { expect, go, manifest, MODEL, open, settled, test, views } from "./tank";

test("nothing leaves the origin, on any view, and nothing breaks", async ({ page, asked, baseURL }) => {
  await open(page, "talk");
  for (const view of await views(page)) await go(page, view);
  expect(asked.length).toBeGreaterThan(10);
  const elsewhere = asked.filter((url) => !url.startsWith(baseURL!) && !/^(about|data|blob):/.test(url));
  expect(elsewhere).toEqual([]);
});

test("axe finds nothing on any view, light and dark, and nothing is wider than a phone", async ({ page }) => {
  test.slow();
  await page.setViewportSize({ width: 360, height: 740 });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await open(page, "talk?temperature=0");
    for (const view of await views(page)) {
      await go(page, view);
      await expect(page.locator("main")).not.toContainText("undefined");
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(
        violations.map(({ id, nodes }) => ({ view, colorScheme, id, where: nodes.map(({ target }) => target) })),
      ).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), view).toBeLessThanOrEqual(360);
    }
  }
});

test("by keyboard alone: to another view, and a word with the fish", async ({ page }) => {
  await open(page, "talk");
  await page.keyboard.press("Tab");
  await expect(page.locator(".skip")).toBeFocused();
  const dice = page.locator("nav a", { hasText: "Dice" });
  for (let n = 0; n < 20 && !(await dice.evaluate((link) => link === document.activeElement)); n++)
    await page.keyboard.press("Tab");
  await expect(dice).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("h1")).toHaveText("How the next token is drawn");
  await open(page, "talk");
  const field = page.getByLabel("What you say");
  for (let n = 0; n < 40 && !(await field.evaluate((input) => input === document.activeElement)); n++)
    await page.keyboard.press("Tab");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("hi guppy");
  await page.keyboard.press("Enter");
  await expect(page.locator("li:last-child .prompt")).toContainText("hi guppy");
  await expect(page.locator("li:last-child [data-over=true]")).toBeVisible();
});

test("by keyboard alone through every view: all that can be operated is reached, seen, and left again", async ({
  page,
}) => {
  test.slow();
  await page.emulateMedia({ reducedMotion: "reduce" });
  await open(page, "talk?temperature=0");
  for (const view of await views(page)) {
    const link = page.locator(`nav a[href^="#/${view}"]`);
    for (let n = 0; n < 300 && !(await link.evaluate((one) => one === document.activeElement)); n++)
      await page.keyboard.press("Tab");
    await expect(link, `${view} is reached`).toBeFocused();
    await page.keyboard.press("Enter");
    await settled(page, view);
    const wanted = await page.evaluate(() => {
      const all = document.querySelectorAll<HTMLElement>("a[href], button, input, select, summary, [tabindex]");
      const open = [...all].filter((one) => {
        const quiet = one instanceof HTMLInputElement && one.type === "radio" && !one.checked; // its group is one stop
        return one.tabIndex >= 0 && !one.matches(":disabled") && !quiet && one.checkVisibility() && !one.closest("nav");
      });
      return open.map((one, place) => (one.dataset.stop = String(place)));
    });
    expect(wanted.length, view).toBeGreaterThan(8);
    const reached = new Set<string>();
    for (let n = 0; n < wanted.length + 30; n++) {
      await page.keyboard.press("Tab");
      const stop = await page.evaluate(() => {
        const one = document.activeElement as HTMLElement;
        const ringed = [one, one.closest("label"), one.closest("tr"), one.closest("td")].some(
          (near) => near && getComputedStyle(near).outlineStyle !== "none",
        );
        const box = one.getBoundingClientRect();
        return {
          place: one.dataset.stop ?? null,
          ringed: ringed || one === document.body,
          inSight: one === document.body || (box.bottom > 0 && box.top < innerHeight),
          what: `${one.localName}: ${one.ariaLabel ?? one.textContent}`.slice(0, 80),
        };
      });
      expect(stop.ringed, `${view}: the focus can be seen on ${stop.what}`).toBe(true);
      expect(stop.inSight, `${view}: scrolled into sight: ${stop.what}`).toBe(true);
      if (stop.place !== null) reached.add(stop.place);
    }
    const missed = wanted.filter((place) => !reached.has(place));
    const which = await page.evaluate(
      (places) =>
        places.map((place) => {
          const one = document.querySelector(`[data-stop="${place}"]`);
          return `${one?.localName}: ${one?.ariaLabel ?? one?.textContent}`.slice(0, 80);
        }),
      missed,
    );
    expect(which, `${view}: never reached`).toEqual([]);
  }
});

test("an address that makes no sense is read as far as it does", async ({ page }) => {
  await open(page, "dice?temperature=-1&seed=1e99&top_k=3&said=1.x&nonsense-name=1&text=hi+guppy");
  await expect(page.getByText("Not understood in the address")).toContainText("temperature, seed, said, nonsense-name");
  await expect(page.getByLabel("What you say")).toHaveValue("hi guppy");
  await expect(page.getByLabel("Top-k")).toHaveAttribute("aria-valuetext", "3");
  await open(page, "no-such-view");
  await expect(page.locator("h1")).toHaveText("Talk to a fish");
});

test("the colours can be chosen, and stay", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, "talk");
  const background = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByLabel("Colours").selectOption("dark");
  expect(await background()).not.toBe(light);
  await page.reload();
  expect(await background()).not.toBe(light);
});

test("it opens again without a network, and every view with it", async ({ page, context }) => {
  const kept = (file: string) =>
    page.evaluate(
      async (file) => (await (await caches.open("tank")).keys()).some(({ url }) => url.endsWith(`/model/${file}`)),
      file,
    );
  await open(page, "talk?temperature=0");
  await page.evaluate(() => navigator.serviceWorker.ready);
  await expect.poll(() => kept("seen.bin")).toBe(true);
  await open(page, "growing?temperature=0"); // younger weights are kept once they were looked at
  for (const { file } of manifest.checkpoints) await expect.poll(() => kept(file)).toBe(true);

  await context.setOffline(true);
  await open(page, "talk?temperature=0");
  await expect(page.locator("li:last-child [data-over=true]")).toHaveAttribute(
    "data-reply",
    manifest.golden.find(({ prompt }) => prompt === "i got you a new castle")!.reply,
  );
  for (const view of await views(page)) {
    await go(page, view);
    await expect(page.locator("[role=alert]:not(:empty)")).toHaveCount(0);
  }
  await expect(page.locator("li[data-reply]")).toHaveCount(manifest.checkpoints.length);
});

test("the first load is small", async ({ page, asked, request }) => {
  await open(page, "talk");
  const { gzipSync } = await import("node:zlib");
  const scripts = [...new Set(asked.filter((url) => url.endsWith(".js") && !/worker|offline/.test(url)))];
  let size = 0;
  for (const url of scripts) size += gzipSync(await (await request.get(url)).body()).length;
  expect(scripts.length).toBeGreaterThan(1);
  expect(size).toBeLessThan(150_000);
  let all = size;
  for (const url of new Set(asked.filter((url) => !scripts.includes(url) && url.startsWith("http")))) {
    all += gzipSync(await (await request.get(url)).body()).length;
  }
  expect(all).toBeLessThan(15_000_000);
});

test("nothing that a fish brings along is read as HTML, on any view", async ({ page }) => {
  const nasty = '<img src=x onerror="document.title=1"><script>document.title=2</script>{{7*7}}';
  await open(page, "talk?temperature=0");
  const folder = test.info().outputPath(`nasty ${process.platform === "win32" ? "" : "<b>"}`);
  cpSync(MODEL, folder, { recursive: true, filter: (path) => !/checkpoints./.test(path) });
  change(folder, (told) => {
    told.character.title = told.character.name = nasty;
    told.prompts = [nasty, ...told.prompts];
    told.golden = [{ ...told.golden[0], prompt: nasty, reply: nasty }, ...told.golden];
    told.run.guppylm = nasty;
    for (const one of told.game?.conversations ?? []) one.prompt = `${nasty} ${one.prompt}`;
  });
  await page.getByRole("button", { name: "Another fish" }).click();
  await page.getByLabel("Choose a folder").first().setInputFiles(folder);
  await expect(page.getByRole("dialog")).toContainText(`${nasty} is in the tank now.`);
  await page.getByRole("button", { name: "Close" }).click();
  const field = page.getByLabel("What you say");
  await field.fill(nasty);
  await field.press("Enter");
  await expect(page.locator("li:last-child .prompt")).toContainText(nasty);
  await expect(page.locator("li:last-child [data-over=true]")).toBeVisible();
  for (const view of await views(page)) {
    await go(page, view);
    await expect(page.locator("footer")).toContainText(nasty);
    await expect(page.locator("#tank :is(img, script, iframe, object)")).toHaveCount(0);
    expect(await page.title()).not.toMatch(/^\d$/);
  }
});

const broken: [string, (folder: string) => void, RegExp][] = [
  ["no manifest", (folder) => rmSync(join(folder, "manifest.json")), /no manifest\.json/],
  [
    "a manifest that is no JSON",
    (folder) => writeFileSync(join(folder, "manifest.json"), "<!doctype html>"),
    /manifest\.json can't be read as JSON/,
  ],
  ["another format", (folder) => change(folder, (told) => (told.format = 99)), /format 99/],
  ["a missing entry", (folder) => change(folder, (told) => delete told.model.layers), /model\.layers is missing/],
  [
    "a tensor out of bounds",
    (folder) => change(folder, (told) => (told.tensors[3].q8_offset = 1e9)),
    /outside weights\.q8/,
  ],
  ["weights cut short", (folder) => truncateSync(join(folder, "weights.q8"), 1000), /weights\.q8 has 1,000 bytes/],
  ["weights that were changed", (folder) => flip(join(folder, "weights.q8")), /weights\.q8 is not what was exported/],
  [
    "a graph that is none",
    (folder) => replace(folder, "chat.onnx", Buffer.from("not a graph")),
    /chat\.onnx can't be run/,
  ],
  ["no tokenizer", (folder) => rmSync(join(folder, "tokenizer.json")), /tokenizer\.json is missing/],
  [
    "a foreign tokenizer",
    (folder) => replace(folder, "tokenizer.json", Buffer.from('{"model":{"vocab":{"a":0},"merges":[]}}')),
    /tokenizer\.json does not fit/,
  ],
];

test("a broken folder says what is wrong and leaves the fish; a good one replaces him", async ({ page }) => {
  test.slow();
  test.info().annotations.push({ type: "errors expected" });
  await open(page, "talk?temperature=0");
  const castle = manifest.golden.find(({ prompt }) => prompt === "i got you a new castle")!.reply;
  for (const [name, damage, message] of broken) {
    const folder = test.info().outputPath("broken");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    cpSync(MODEL, folder, { recursive: true, filter: (path) => !/checkpoints./.test(path) });
    damage(folder);
    await page.getByRole("button", { name: "Another fish" }).click();
    await page.getByLabel("Choose a folder").first().setInputFiles(folder);
    await expect(page.getByRole("dialog").getByRole("alert"), name).toContainText(message);
    await expect(page.getByRole("dialog"), name).toContainText("The fish that was here stays.");
    await page.getByRole("button", { name: "Close" }).click();
  }
  await page.getByRole("button", { name: "Say it" }).click();
  await expect(page.locator("ol > li")).toHaveCount(2);
  await expect(page.locator("li:last-child [data-over=true]")).toHaveAttribute("data-reply", castle);

  await page.getByRole("button", { name: "Another fish" }).click();
  const folder = test.info().outputPath("other");
  cpSync(MODEL, folder, { recursive: true, filter: (path) => !/checkpoints./.test(path) });
  change(folder, (told) => (told.character.title = "Somebody Else"));
  await page.getByLabel("Choose a folder").first().setInputFiles(folder);
  await expect(page.getByRole("dialog")).toContainText("Somebody Else is in the tank now.");
  await page.getByRole("button", { name: "Close" }).click();
  await expect(page.locator("footer")).toContainText("Somebody Else");
  await expect(page.locator("li:last-child [data-over=true]")).toHaveAttribute("data-reply", castle);
});

test("a page without a model says so", async ({ page }) => {
  test.info().annotations.push({ type: "errors expected" });
  await page.route("**/model/**", (route) => route.fulfill({ status: 404 }));
  await page.goto("./");
  await expect(page.getByRole("alert")).toContainText("no model beside this page");
  await expect(page.getByRole("button", { name: "Choose a folder" })).toBeVisible();
});

test("a model that was damaged on its way says so", async ({ page }) => {
  test.info().annotations.push({ type: "errors expected" });
  await page.route("**/model/weights.q8", async (route) => {
    const body = await (await route.fetch()).body();
    body[7]! ^= 1;
    await route.fulfill({ body });
  });
  await page.goto("./");
  await expect(page.getByRole("alert")).toContainText("weights.q8 is not what was exported");
  await expect(page.getByRole("button", { name: "Choose a folder" })).toBeVisible();
});

test("the page says what it is made of", async ({ page }) => {
  await open(page, "talk?temperature=0");
  await page.getByRole("button", { name: "Licences" }).click();
  const text = page.getByRole("dialog").getByRole("region");
  for (const package_ of ["guppylm, MIT", "onnxruntime-web 1.", "svelte 5.", "@huggingface/tokenizers 0."])
    await expect(text).toContainText(`\n${package_}`);
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- it is about to be damaged
function change(folder: string, edit: (told: any) => void): void {
  const path = join(folder, "manifest.json");
  const told: unknown = JSON.parse(readFileSync(path, "utf8"));
  edit(told);
  writeFileSync(path, JSON.stringify(told));
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
}

/** Other content, rightly listed: what only shows when it is used. */
function replace(folder: string, name: string, content: Buffer): void {
  writeFileSync(join(folder, name), content);
  change(folder, (told) => {
    const entry = told.files.find(({ path }: { path: string }) => path === name);
    entry.bytes = content.length;
    entry.sha256 = createHash("sha256").update(content).digest("hex");
  });
}
