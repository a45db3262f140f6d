/** What these views read: the text and what was said, no more than the context. */

import { visible } from "../../components/colour";
import type { Engine } from "../../engine/types";
import type { Shared } from "../../state.svelte";
import { parts } from "../../text/parts";

export function idsOf(engine: Engine, shared: Shared): number[] {
  return engine.tokenizer.render(shared.text, shared.said).ids.slice(0, engine.manifest.model.context);
}

/** A token as `tokenizer.label` writes it, but the long marks of the chat format by short names. */
export function labelOf(engine: Engine, id: number): string {
  const { start, answer, end } = engine.tokenizer;
  if (id === start) return parts.you;
  if (id === answer) return parts.fish(engine.manifest.character.name);
  return id === end ? parts.end : visible(engine.tokenizer.label(id));
}
