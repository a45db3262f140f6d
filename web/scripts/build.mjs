// Builds the page: `npm run build [-- --outDir DIR]`. Beside it stands one-file.html, the same page with all of its code in one
// place and a mark where its files go: scripts/one-file.mjs and `guppylm export --to site --one-file` make tank.html of it.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { build } from "vite";

const { values } = parseArgs({
  options: { outDir: { type: "string", default: "dist" }, emptyOutDir: { type: "boolean" } },
});
const outDir = values.outDir;
await build({ build: { outDir, emptyOutDir: true } });

const single = join(outDir, "single");
await build({
  logLevel: "warn",
  build: {
    outDir: single,
    chunkSizeWarningLimit: 1000,
    rolldownOptions: { output: { codeSplitting: false } },
    cssCodeSplit: false,
  },
});
const built = readdirSync(join(single, "assets"));
const one = (pattern) => {
  const found = built.filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`${found.length} files like ${pattern} in ${single}/assets, not one`);
  return readFileSync(join(single, "assets", found[0]), "utf8");
};
const script = one(/^index-.*\.js$/).replaceAll("</script", "<\\/script");
const style = one(/\.css$/);
const icon = readFileSync(join(outDir, "fish.svg")).toString("base64");
rmSync(single, { recursive: true });

const sum = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'",
  `script-src ${sum(script)} 'wasm-unsafe-eval'`,
  "worker-src blob:",
  `style-src ${sum(style)}`,
  "img-src data:",
  "connect-src 'none'", // the browser itself sees to it that nothing is fetched or sent
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="content-security-policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The tank</title>
<link rel="icon" href="data:image/svg+xml;base64,${icon}">
<style>${style}</style>
</head>
<body>
<div id="tank"></div>
<!-- files -->
<script type="module">${script}</script>
</body>
</html>
`;
writeFileSync(join(outDir, "one-file.html"), page);
