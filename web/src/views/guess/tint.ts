/** How strongly a token is tinted, 0 to 0.85, by the chance that it had: the less sure, the stronger. Ink can be read on it, on a card too. */
export function unsure(chance: number): number {
  return 0.85 * (1 - chance);
}
