/** The beginning of the Python lines: what `fish` reads, as the view reads it. */

import type { Shared } from "../../state.svelte";
import { quoted } from "../../text/python";

/** The arguments of `look`: the text, and what he has said of his reply. */
export function read(shared: Shared, fish: string): string {
  return shared.said.length
    ? `${quoted(shared.text)}, ${fish}.tokenizer.decode([${shared.said.join(", ")}])`
    : quoted(shared.text);
}

/** `fish` with a look at the text: one expression where nothing else is needed of the fish. */
export function look(shared: Shared): string {
  return shared.said.length
    ? `fish = guppylm.load(); fish.look(${read(shared, "fish")})`
    : `guppylm.load().look(${quoted(shared.text)})`;
}
