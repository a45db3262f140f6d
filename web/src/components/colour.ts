/** Scales. One end: from nothing to the accent. Two ends: from --minus over nothing to the accent; both colour-blind-safe. */

/** 0 to 1 as a colour on which --ink can still be read (4.5 to 1): from nothing to the accent. */
export function heat(amount: number): string {
  return mix("--accent", amount);
}

/** -1 to 1. */
export function signed(amount: number): string {
  return amount < 0 ? mix("--minus", -amount) : mix("--accent", amount);
}

function mix(colour: string, amount: number): string {
  const share = Math.max(0, Math.min(1, amount)) * 45;
  return `color-mix(in oklab, var(${colour}) ${share.toFixed(1)}%, transparent)`;
}

/** A token's label as it is shown: ␤ is missing in many fonts. */
export function visible(label: string): string {
  return label.replaceAll("␤", "↵");
}

/** A probability for people: 34 %, 0.2 %, 0 %. */
export function percent(chance: number): string {
  const hundred = chance * 100;
  if (hundred >= 9.95 || hundred === 0) return `${hundred.toFixed(0)} %`;
  return hundred >= 0.05 ? `${hundred.toFixed(1)} %` : "< 0.1 %";
}
