/** The server's time, estimated from the instants in its messages. */

const KEEP_MS = 30_000;

/**
 * Each message says when it was sent; it arrives some delay later. So the server's clock is ahead of ours by at
 * least `told - heard`, and the largest of the recent differences is the one with the least delay in it.
 */
export class ServerClock {
  #samples = [];

  /** Forget what was learned, before the first message of a new connection. */
  reset() {
    this.#samples = [];
  }

  /** `told`: the server's instant in a message that came just now. */
  learn(told) {
    const heard = performance.now();
    this.#samples = this.#samples.filter((sample) => heard - sample.heard < KEEP_MS);
    this.#samples.push({ heard, ahead: told - heard });
  }

  /** Milliseconds since the Unix epoch; our own clock until the server spoke. */
  now = () => {
    if (this.#samples.length === 0) return Date.now();
    return Math.max(...this.#samples.map((sample) => sample.ahead)) + performance.now();
  };
}
