import { defineConfig } from "@playwright/test";

const port = Number(process.env.TANK_PORT ?? 8731);

const slow = Number(process.env.TANK_SLOW ?? 1); // how many times as long everything may take, on a busy machine

/** TANK_MODEL: the exported folder. TANK_DIST: the built page. PYTHON: one with guppylm in it, for the figures to compare with. */
export default defineConfig({
  testDir: "tests",
  outputDir: process.env.TANK_RESULTS ?? "test-results",
  workers: 1, // two cores, and the model wants one
  timeout: 120_000 * slow,
  expect: { timeout: 30_000 * slow },
  reporter: "list",
  forbidOnly: Boolean(process.env.CI),
  use: {
    contextOptions: { reducedMotion: "reduce" }, // a fish that swims is painted sixty times a second, by the same core
    baseURL: `http://127.0.0.1:${port}/`,
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    },
  },
  webServer: {
    command: `node scripts/serve.mjs ${port}`,
    url: `http://127.0.0.1:${port}/`,
    reuseExistingServer: false,
  },
});
