/** Runs what it is given one after the other, each when the one before has ended, well or badly. */
export type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>;

export function oneAtATime(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return async (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return await result;
  };
}
