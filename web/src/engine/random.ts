/**
 * The dice: a generator of its own, so that a seed gives the same reply in every browser. (Not the same as in Python, whose
 * generator is another one.) State and step are sfc32 of Chris Doty-Humphrey's PractRand.
 */
export class Random {
  readonly #state: Uint32Array;

  /** `seed` is a whole number from 0 to 4294967295. */
  constructor(seed: number) {
    this.#state = new Uint32Array([0x9e3779b9, 0x243f6a88, seed >>> 0, 1]);
    for (let round = 0; round < 15; round++) this.#step();
  }

  #step(): number {
    const state = this.#state;
    const [a, b, c, counter] = state as unknown as [number, number, number, number];
    const drawn = (a + b + counter) >>> 0;
    state[3] = counter + 1;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + drawn;
    return drawn;
  }

  /** The next number, 0 or more and below 1. */
  next(): number {
    const high = this.#step() >>> 5; // 27 bits
    const low = this.#step() >>> 6; // 26 bits
    return (high * 67108864 + low) / 9007199254740992;
  }
}
