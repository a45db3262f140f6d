// Pictures of every view, light and dark, on a desktop and on a phone of 360 pixels: `npm run pictures [-- VIEW ...]`.
// They go to docs/pictures/tank as WebP, each small enough to stand in a page. TANK_MODEL: the exported folder, TANK_DIST:
// the built page, PICTURES: another folder to write them into.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "@playwright/test";

import { serve } from "./serve.mjs";

const LARGEST = 60_000; // bytes
const SCREENS = { desktop: [1180, 1500], phone: [360, 1500] }; // the width, and the most height that is shown

/** Each view's address, and what is done there before the picture is taken. */
const VIEWS = {
  talk: [
    "talk",
    async (page) => {
      await page.locator("[data-over=true]").waitFor();
      const tokens = page.locator("li:last-child .tokens button");
      const chances = await tokens.evaluateAll((all) => all.map(({ title }) => parseFloat(title)));
      await tokens.nth(chances.indexOf(Math.min(...chances.filter(Number.isFinite)))).click(); // where he was least sure
    },
  ],
  guess: [
    "guess",
    async (page) => {
      await page.locator(".reply[data-ready=true]").waitFor();
      for (let n = 0; n < 3; n++) await page.locator("form .token").first().click();
    },
  ],
  chop: ["chop?step=9", (page) => page.locator("[data-token]").first().waitFor()],
  attention: ["attention", (page) => page.locator("[data-cell]").first().waitFor()],
  layers: ["layers", (page) => page.locator("[data-found]").waitFor()],
  ablate: [
    "ablate?off=0m",
    async (page) => {
      await page.getByRole("button", { name: /^Rank all/ }).click();
      await page.locator("[data-part]").first().waitFor();
      await page.locator('[data-reply="changed-1"]', { hasNotText: "computing" }).waitFor();
    },
  ],
  dice: ["dice?top_p=0.9", (page) => page.locator("[data-thrown]").waitFor()],
  growing: [
    "growing?temperature=0",
    async (page) => {
      await page.locator("ol li[data-reply]").last().waitFor();
      await page.waitForFunction(() => !document.querySelector("ol li[data-step]:not([data-reply])"), null, {
        timeout: 120_000,
      });
    },
  ],
};

const folder = process.env.PICTURES ?? join("..", "docs", "pictures", "tank");
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in VIEWS));
if (unknown.length) throw new Error(`no view ${unknown.join(", ")}; there are ${Object.keys(VIEWS).join(", ")}`);
mkdirSync(folder, { recursive: true });
const server = await serve({ dist: process.env.TANK_DIST ?? "dist", model: process.env.TANK_MODEL ?? "model" });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
for (const [size, [width, most]] of Object.entries(SCREENS)) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, reducedMotion: "reduce" });
  page.on("pageerror", (error) => console.error(error));
  const devtools = await page.context().newCDPSession(page);
  for (const name of asked.length ? asked : Object.keys(VIEWS)) {
    const [address, before] = VIEWS[name];
    await page.goto("about:blank");
    await page.goto(`http://127.0.0.1:${server.address().port}/#/${address}`);
    await page.locator("section pre").waitFor({ timeout: 60_000 });
    await before(page);
    await page.evaluate(() => document.activeElement.blur());
    await page.evaluate(() => scrollTo(0, 0));
    await page.mouse.move(0, 0);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(400);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) console.error(`${name}: ${wide} pixels wide on a screen of ${width}`);
      const height = Math.min(most, await page.evaluate(() => document.documentElement.scrollHeight));
      const path = join(folder, `${name}_${size}_${colorScheme}.webp`);
      let data;
      for (let quality = 80; quality >= 20 && (data?.length ?? Infinity) > LARGEST; quality -= 10) {
        const shot = await devtools.send("Page.captureScreenshot", {
          format: "webp",
          quality,
          captureBeyondViewport: true,
          clip: { x: 0, y: 0, width, height, scale: 1 },
        });
        data = Buffer.from(shot.data, "base64");
      }
      writeFileSync(path, data);
      console.log(`${path}: ${data.length} bytes`);
    }
  }
  await page.close();
}
await browser.close();
server.close();
