// Pictures of the page, to be looked at: `TANK_MODEL=DIR node scripts/shots.mjs OUT_DIR [VIEW or VIEW?text=...] ...`
// Each view light and dark, on a desktop and on a phone of 360 pixels.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "@playwright/test";

import { serve } from "./serve.mjs";

const [folder = "shots", ...views] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const server = await serve({ dist: process.env.TANK_DIST ?? "dist", model: process.env.TANK_MODEL ?? "model" });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
for (const colorScheme of ["light", "dark"]) {
  for (const [size, width, height] of [
    ["desktop", 1280, 900],
    ["phone", 360, 740],
  ]) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height }, reducedMotion: "reduce" });
    page.on("console", (message) => message.type() === "error" && console.error(message.text()));
    page.on("pageerror", (error) => console.error(error));
    for (const view of views.length ? views : ["talk", "dice"]) {
      await page.goto("about:blank");
      await page.goto(`http://127.0.0.1:${server.address().port}/#/${view}`);
      await page.waitForSelector("section pre", { timeout: 60000 });
      await page.waitForTimeout(2500);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) console.error(`${view}: ${wide} pixels wide on a screen of ${width}`);
      await page.screenshot({
        path: join(folder, `${view.replace(/\?.*/, "")}-${colorScheme}-${size}.png`),
        fullPage: true,
      });
    }
    await page.close();
  }
}
await browser.close();
server.close();
