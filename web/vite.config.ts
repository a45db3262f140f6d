import { createReadStream, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

import { licences, packageOf } from "./scripts/licences.ts";

const RUNTIME = "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm";

/** The runtime's WebAssembly, packed: 14 MB would be 3.7, and a static host need not know how to compress. */
function runtime(): Plugin {
  return {
    name: "runtime",
    generateBundle() {
      this.emitFile({
        type: "asset",
        fileName: "assets/runtime.wasm.gz",
        source: gzipSync(readFileSync(RUNTIME), { level: 9 }),
      });
    },
    configureServer(server) {
      server.middlewares.use("/assets/runtime.wasm.gz", (_request, response) => {
        createReadStream(RUNTIME).pipe(response);
      });
    },
  };
}

/** The library points at its WebAssembly itself: without this it would be packed a second time, and never read. */
function runtimeOnce(): Plugin {
  return {
    name: "runtime-once",
    transform: {
      filter: { id: /ort\.wasm\.bundle\.min\.mjs/ },
      handler: (code) => ({
        code: code.replaceAll(/new URL\("ort-wasm-simd-threaded\.wasm",import\.meta\.url\)\.href/g, '""'),
        map: null,
      }),
    },
  };
}

const used = new Set<string>(); // packages whose code is in the page or in its worker

function packages(): Plugin {
  return {
    name: "packages",
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((part) => (part.type === "chunk" ? part.moduleIds : []));
      for (const name of modules.map(packageOf)) if (name) used.add(name);
    },
  };
}

/** licences.txt, of the packages whose code is in the page. */
function notices(): Plugin {
  return {
    name: "notices",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "licences.txt", source: licences(used) });
    },
  };
}

/** While developing, the exported folder in TANK_MODEL stands at model/. */
function model(): Plugin {
  return {
    name: "model",
    configureServer(server) {
      const folder = process.env.TANK_MODEL;
      if (!folder) return;
      server.middlewares.use("/model", (request, response) => {
        const path = resolve(join(folder, new URL(request.url ?? "/", "http://x").pathname));
        const inside = path.startsWith(resolve(folder));
        void (inside ? stat(path) : Promise.reject(new Error("outside"))).then(
          () => createReadStream(path).pipe(response),
          () => response.writeHead(404).end(),
        );
      });
    },
  };
}

/** offline.js with the names of all files in it, so that the page opens again without a network. */
function offline(): Plugin {
  return {
    name: "offline",
    apply: "build",
    enforce: "post",
    generateBundle(_options, bundle) {
      const files = ["./", ...Object.keys(bundle).filter((name) => !/html$/.test(name)), "fish.svg"];
      const source = readFileSync("scripts/offline.js", "utf8").replace("[/* files */]", JSON.stringify(files));
      this.emitFile({ type: "asset", fileName: "offline.js", source });
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [svelte(), runtime(), packages(), notices(), offline(), model()],
  worker: {
    format: "iife", // a page opened as a file can start no worker that is a module
    plugins: () => [runtimeOnce(), packages()],
  },
  build: {
    target: "es2023",
    assetsInlineLimit: 0, // a data: address would need its own line in the content security policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 200,
  },
});
