/** Where an arrow key leads in a grid: [down, right]. Undefined for any other key. */
export function arrow(event: KeyboardEvent): readonly [number, number] | undefined {
  const steps: Record<string, readonly [number, number]> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };
  return steps[event.key];
}
