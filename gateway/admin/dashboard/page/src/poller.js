// Asks again and again, while somebody can see the answer.

export class Poller {
  /**
   * @param {{every: number, read: () => Promise<void>}} options every: milliseconds from an answer to the next question. read
   * must not throw.
   */
  constructor({ every, read }) {
    this.every = every;
    this.read = read;
    this.running = false;
    this.reading = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    document.addEventListener('visibilitychange', () => this.next(0));
  }

  start() {
    this.running = true;
    this.next(0);
  }

  /** @param {number} delay milliseconds */
  next(delay) {
    clearTimeout(this.timer);
    if (this.running && !this.reading && document.visibilityState === 'visible') this.timer = setTimeout(() => this.ask(), delay);
  }

  async ask() {
    this.reading = true;
    await this.read();
    this.reading = false;
    this.next(this.every);
  }
}
