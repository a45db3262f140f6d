/** Colours for a canvas, which knows no custom properties. Reading them in an effect draws again when the theme changes. */

import { createSubscriber } from "svelte/reactivity";

const follow = createSubscriber((update) => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const watcher = new MutationObserver(update);
  dark.addEventListener("change", update);
  watcher.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    dark.removeEventListener("change", update);
    watcher.disconnect();
  };
});

/** The text colour of an element as numbers; its style says which token that is. */
export function inkOf(element: Element): string {
  follow();
  return getComputedStyle(element).color;
}
