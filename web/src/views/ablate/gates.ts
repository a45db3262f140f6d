/** Which parts are off: in the address, as gates, by the names of Python. */

import { allOn, type Gates } from "../../engine/types";

export interface Part {
  readonly layer: number;
  readonly head: number | null; // null: the MLP
}

export function nameOf({ layer, head }: Part): string {
  return head === null ? `blocks.${layer}.mlp` : `blocks.${layer}.attention.head.${head}`;
}

/** All parts that have a gate, layer by layer: its heads, then its MLP. */
export function partsOf(layers: number, heads: number): Part[] {
  return Array.from({ length: layers }, (_, layer) => [
    ...Array.from({ length: heads }, (_, head) => ({ layer, head })),
    { layer, head: null },
  ]).flat();
}

/** "0h4.2m": head 4 of layer 0 and the MLP of layer 2. What is not understood is left out. */
export function parse(written: string | undefined, layers = Infinity, heads = Infinity): Part[] {
  const found = new Map<string, Part>();
  for (const piece of (written ?? "").split(".")) {
    const match = /^(\d{1,3})(?:h(\d{1,3})|m)$/.exec(piece);
    if (!match) continue;
    const part = { layer: Number(match[1]), head: match[2] === undefined ? null : Number(match[2]) };
    if (part.layer < layers && (part.head ?? 0) < heads) found.set(nameOf(part), part);
  }
  return [...found.values()].sort((a, b) => a.layer - b.layer || (a.head ?? Infinity) - (b.head ?? Infinity));
}

export function write(off: readonly Part[]): string {
  return off.map(({ layer, head }) => (head === null ? `${layer}m` : `${layer}h${head}`)).join(".");
}

export function gatesFor(off: readonly Part[], layers: number, heads: number): Gates {
  const gates = allOn(layers, heads);
  for (const { layer, head } of off) {
    if (head === null) gates.mlps[layer] = 0;
    else gates.heads[layer]![head] = 0;
  }
  return gates;
}
