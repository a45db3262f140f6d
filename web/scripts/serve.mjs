// Serves a built page with a model folder, as strictly as a host may: `node scripts/serve.mjs [PORT]`.
// TANK_DIST: the built page (dist), TANK_MODEL: the exported folder. What people use is `guppylm tank`.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
};

export const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A server on loopback; port 0 takes a free one. */
export function serve({ dist, model, port = 0 }) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    const inModel = path.startsWith("/model/");
    const root = resolve(inModel ? model : dist);
    const file = resolve(join(root, inModel ? path.slice("/model/".length) : path === "/" ? "index.html" : path));
    const stats = file.startsWith(root + sep) ? statSync(file, { throwIfNoEntry: false }) : undefined;
    if (!stats?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-length": stats.size,
      "content-security-policy": POLICY,
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
    });
    createReadStream(file).pipe(response);
  });
  return new Promise((listening) => server.listen(port, "127.0.0.1", () => listening(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await serve({
    dist: process.env.TANK_DIST ?? "dist",
    model: process.env.TANK_MODEL ?? "model",
    port: Number(process.argv[2] ?? 8765),
  });
  console.log(`http://127.0.0.1:${server.address().port}/`);
}
