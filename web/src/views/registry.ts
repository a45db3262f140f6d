/**
 * The views, in the order of the page. A view is a file of this folder with one of these names (talk: Talk.svelte) and
 * its words in ../text/. Each is loaded when it is first opened; a name without a file is not shown.
 */

import type { Component } from "svelte";

import type { Engine } from "../engine/types";
import type { Shared } from "../state.svelte";

/** What every view is given. `engine` is another object after another fish was dropped in: the view is then made anew. */
export interface ViewProps {
  engine: Engine;
  shared: Shared;
}

export const NAMES = ["talk", "guess", "chop", "attention", "layers", "ablate", "dice", "growing"] as const;
export type ViewName = (typeof NAMES)[number];

const files = import.meta.glob<{ default: Component<ViewProps> }>("./*.svelte");

function file(name: ViewName): string {
  return `./${name[0]!.toUpperCase()}${name.slice(1)}.svelte`;
}

export const views: readonly ViewName[] = NAMES.filter((name) => file(name) in files);

export async function load(name: ViewName): Promise<Component<ViewProps>> {
  return (await files[file(name)]!()).default;
}
