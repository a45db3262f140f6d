/** The loss curve: figures to places in the picture. */

import type { Metrics } from "../../engine/manifest";
import { Random } from "../../engine/random";

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The loss at a step: the look at the validation rows if there was one, else that of the nearest step that is told. */
export function lossAt(metrics: Metrics, step: number): { loss: number; step: number; validation: boolean } | null {
  const look = metrics.looks.find((one) => one.step === step);
  if (look) return { loss: look.loss, step, validation: true };
  let nearest: Metrics["loss"][number] | undefined;
  for (const one of metrics.loss)
    if (!nearest || Math.abs(one.step - step) < Math.abs(nearest.step - step)) nearest = one;
  return nearest ? { loss: nearest.loss, step: nearest.step, validation: false } : null;
}

/** Scales: steps by the logarithm, since most is learnt early (and of step + 1, so that 0 has a place); nats as they are. */
export function scales(
  metrics: Metrics,
  steps: number,
  frame: Frame,
): { x: (step: number) => number; y: (nats: number) => number; top: number } {
  const losses = [...metrics.loss, ...metrics.looks].map(({ loss }) => loss);
  const top = losses.reduce((a, b) => Math.max(a, b), 1);
  const span = Math.log(1 + Math.max(1, steps));
  return {
    x: (step) => frame.left + ((frame.width - frame.left - frame.right) * Math.log(1 + step)) / span,
    y: (nats) => frame.top + (frame.height - frame.top - frame.bottom) * (1 - nats / top),
    top,
  };
}

/** Steps to be named under the picture: 0, 10, 100 ... and the last. */
export function ticks(steps: number): number[] {
  const tens = [10, 100, 1000, 10000, 100000].filter((ten) => ten < steps / 2);
  return [0, 1, ...tens, steps];
}

/** Pebbles between the floor and the ground: the same every time. */
export function pebbles(
  left: number,
  right: number,
  top: number,
  bottom: number,
): { x: number; y: number; rx: number; ry: number; shade: number }[] {
  const random = new Random(7);
  const height = bottom - top;
  const size = Math.max(2, Math.min(4, height / 3));
  const count = Math.round(((right - left) * height) / (size * size * 5));
  return Array.from({ length: Math.min(600, count) }, () => {
    const rx = size * (0.6 + 0.7 * random.next());
    const ry = rx * (0.6 + 0.3 * random.next());
    return {
      x: left + rx + (right - left - 2 * rx) * random.next(),
      y: top + ry + Math.max(0, height - 2 * ry) * random.next(),
      rx,
      ry,
      shade: random.next(),
    };
  });
}
