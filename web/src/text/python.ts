/** A text as a Python string literal. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A number as Python writes a float. */
export function float(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
