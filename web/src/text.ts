/**
 * Every word of the page: translate the files of text/ and the page is translated. Words with numbers in them are
 * functions. No markup in here: what stands here is shown as it is.
 */

import { ablate } from "./text/ablate";
import { attention } from "./text/attention";
import { chop } from "./text/chop";
import { dice } from "./text/dice";
import { growing } from "./text/growing";
import { guess } from "./text/guess";
import { layers } from "./text/layers";
import { shell } from "./text/shell";
import { talk } from "./text/talk";
import type { Shared } from "./state.svelte";
import type { ViewName } from "./views/registry";

/** What the shell shows around every view. */
export interface ViewText {
  /** In the navigation: one word. */
  readonly name: string;
  /** The heading: what happens here, in a few words. */
  readonly title: string;
  /** One line that says what to notice. */
  readonly notice: string;
  /** The Python line that computes the same, for the present text and dials. It must run after `import guppylm`. */
  readonly python: (shared: Shared) => string;
}

export const text = { shell, talk, guess, chop, attention, layers, ablate, dice, growing } satisfies Record<
  ViewName,
  ViewText
> & { shell: object };
