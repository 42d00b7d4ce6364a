type Task = (signal: AbortSignal) => Promise<void>;

/** Runs tasks strictly one after another; one that fails does not stop the next. */
export class SerialQueue {
  #tail: Promise<void> = Promise.resolve();
  #current: AbortController | undefined;

  run(task: Task): Promise<void> {
    const result = this.#tail.then(async () => {
      const controller = new AbortController();
      this.#current = controller;
      try {
        await task(controller.signal);
      } finally {
        this.#current = undefined;
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Asks the task that runs now to stop early, then queues this one. */
  interrupt(task: Task): Promise<void> {
    this.#current?.abort();
    return this.run(task);
  }

  /** Resolves when everything queued so far is done. */
  idle(): Promise<void> {
    return this.#tail;
  }
}
