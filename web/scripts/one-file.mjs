// Makes tank.html of a built page: runtime and fish in one file that opens by double-click, without a server or a network.
// `npm run build:one-file -- MODEL_DIR [OUT] [--without-checkpoints]`; TANK_DIST is the built page.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";

const dist = process.env.TANK_DIST ?? "dist";
const words = process.argv.slice(2);
const [model, out = "tank.html"] = words.filter((word) => !word.startsWith("--"));
const slim = words.includes("--without-checkpoints"); // a third of the size, and nothing to see him grow up by

function stop(status, message) {
  console.error(message);
  process.exit(status);
}
const there = (path) => statSync(path, { throwIfNoEntry: false })?.isFile();
if (!model) stop(2, "name the exported folder: npm run build:one-file -- MODEL_DIR [OUT]");
if (!there(join(dist, "one-file.html"))) stop(1, `${dist} holds no built page; make it with: npm run build`);
if (!there(join(model, "manifest.json"))) {
  stop(1, `${model} holds no manifest.json; make it with: guppylm export RUN --to onnx --out ${model}`);
}

// Each file is a script element of a type that no browser runs; its text is gzip in base64.
const assets = readdirSync(join(dist, "assets"));
const worker = assets.find((name) => /^worker-.*\.js$/.test(name));
const files = new Map([
  ["tank/worker.js", gzipSync(readFileSync(join(dist, "assets", worker)), { level: 9 })],
  ["tank/runtime.wasm", readFileSync(join(dist, "assets", "runtime.wasm.gz"))],
  ["tank/licences.txt", gzipSync(readFileSync(join(dist, "licences.txt")), { level: 9 })],
]);
const told = JSON.parse(readFileSync(join(model, "manifest.json"), "utf8"));
const younger = new Set(told.checkpoints.map(({ file }) => file).filter((file) => file !== told.weights.file));
if (slim) {
  told.checkpoints = told.checkpoints.filter(({ file }) => !younger.has(file));
  told.files = told.files.filter(({ path }) => !younger.has(path));
}
for (const entry of readdirSync(model, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  const name = relative(model, path).replaceAll("\\", "/");
  if (!entry.isFile() || (slim && younger.has(name))) continue;
  const bytes = name === "manifest.json" ? JSON.stringify(told) : readFileSync(path);
  files.set(name, gzipSync(bytes, { level: 9 }));
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
const elements = [...files].map(
  ([name, packed]) =>
    `<script type="application/gzip" data-file="${escaped(name)}">${packed.toString("base64")}</script>`,
);
const page = readFileSync(join(dist, "one-file.html"), "utf8").replace("<!-- files -->", () => elements.join("\n"));
writeFileSync(out, page);
console.log(`${out}: ${(Buffer.byteLength(page) / 1e6).toFixed(1)} MB, ${files.size} files in it`);
