// PyTorch's random numbers on a CPU: the Mersenne Twister (Matsumoto and Nishimura, 1998), as torch.rand and
// torch.randint take from it, so that a seed means the same here and in the lesson.

const [SIZE, SHIFT] = [624, 397];

export class Generator {
  #state = new Uint32Array(SIZE);
  #next = SIZE;

  constructor(seed) {
    this.#state[0] = seed;
    for (let i = 1; i < SIZE; i++) {
      const before = this.#state[i - 1];
      this.#state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  // The next whole number of 32 bits.
  #draw() {
    if (this.#next === SIZE) this.#twist();
    let y = this.#state[this.#next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist() {
    const state = this.#state;
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }

  // `count` numbers from 0 to 1, as torch.rand(count).
  rand(count) {
    return Array.from({ length: count }, () => (this.#draw() % 2 ** 24) / 2 ** 24);
  }

  // `count` whole numbers below `end`, as torch.randint(end, (count,)).
  randint(end, count) {
    return Array.from({ length: count }, () => this.#draw() % end);
  }
}
