/** What a link to the page says: view, text, seed, dials, what was said, and what the view itself wants to keep. */

import type { Sampling } from "./engine/types";
import { DEFAULT_SAMPLING, DEFAULT_TEXT, read, write, type Shareable } from "./hash";
import { NAMES, views, type ViewName } from "./views/registry";

/** The state that all views share. Views read and assign the fields; the address follows. */
export class Shared implements Shareable {
  view = $state<ViewName>("talk");
  text = $state(DEFAULT_TEXT);
  seed = $state(1);
  sampling = $state<Sampling>({ ...DEFAULT_SAMPLING });
  /** The reply so far, as token ids: what Talk said last, or where it is to begin. */
  said = $state<number[]>([]);
  /** A view's own values: short strings by short names, checked by the view when it reads them. Emptied on leaving it. */
  own = $state<Record<string, string>>({});
  /** Parts of the address that were not understood, for a notice. */
  ignored = $state<string[]>([]);

  /** Takes over what an address says. */
  take(hash: string): void {
    const found = read(hash, views.length ? views : NAMES);
    this.view = found.view;
    this.text = found.text;
    this.seed = found.seed;
    this.sampling = found.sampling;
    this.said = found.said;
    this.own = found.own;
    this.ignored = found.ignored;
  }

  /** The address of this state, in another view if one is named. */
  link(view: ViewName = this.view): string {
    return write({
      view,
      text: this.text,
      seed: this.seed,
      sampling: this.sampling,
      said: this.said,
      own: view === this.view ? this.own : {},
    });
  }

  /** A whole number of `own`, or `fallback` where there is none or it is out of bounds. */
  whole(name: string, smallest: number, largest: number, fallback: number): number {
    const value = this.own[name];
    if (value === undefined || !/^\d{1,9}$/.test(value)) return fallback;
    return Number(value) >= smallest && Number(value) <= largest ? Number(value) : fallback;
  }
}
