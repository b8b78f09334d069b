/** Makes a value again when it is older than `ms`. A failure is not kept. */
export function renewing<T>(ms: number, make: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined;
  let madeAt = 0;
  return async () => {
    if (current === undefined || performance.now() - madeAt > ms) {
      madeAt = performance.now();
      const made = make();
      current = made;
      made.catch(() => {
        if (current === made) current = undefined;
      });
    }
    return await current;
  };
}

/** Makes a value at each call. If that fails, the last one stays: a file can be read while it is being written. */
export function keepingLast<T>(make: () => Promise<T>): () => Promise<T> {
  let last: { readonly value: T } | undefined;
  return async () => {
    try {
      last = { value: await make() };
    } catch (thrown) {
      if (last === undefined) throw thrown;
    }
    return last.value;
  };
}

/** So long, changed credentials of a file may stay without effect. */
export const credentialsMaxAgeMs = 60_000;
