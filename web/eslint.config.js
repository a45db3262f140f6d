import js from "@eslint/js";
import globals from "globals";
import svelte from "eslint-plugin-svelte";
import ts from "typescript-eslint";

import svelteConfig from "./svelte.config.js";

export default ts.config(
  { ignores: ["dist/", "node_modules/", "test-results/"] },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  { files: ["scripts/offline.js"], languageOptions: { globals: globals.serviceworker } },
  { files: ["**/*.svelte", "**/*.svelte.ts"], languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } } },
  {
    rules: {
      "no-undef": "off", // TypeScript does this
      "no-eval": "error",
      "no-new-func": "error",
      "@typescript-eslint/no-non-null-assertion": "off",
      "svelte/no-at-html-tags": "error",
      "no-restricted-syntax": [
        "error",
        {
          selector: "SvelteAttribute[key.name='style']",
          message: "The content security policy forbids it; write style:width={...}.",
        },
      ],
      "svelte/no-navigation-without-resolve": "off", // for SvelteKit
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: "Use engine/random.ts: every draw has a seed." },
        { property: "innerHTML", message: "Nothing from model, prompt or file is read as HTML." },
        { property: "outerHTML", message: "Nothing from model, prompt or file is read as HTML." },
        { property: "insertAdjacentHTML", message: "Nothing from model, prompt or file is read as HTML." },
      ],
    },
  },
);
