/** Runs `act` for each item, `limit` at once. After an error nothing new starts. It is thrown when all have ended. */
export async function forEachAtOnce<T>(
  limit: number,
  items: Iterable<T>,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failed = false;
  const walk = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true && !failed; next = rest.next()) await act(next.value);
  };
  const tryWalk = async (): Promise<void> => {
    try {
      await walk();
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const results = await Promise.allSettled(Array.from({ length: limit }, tryWalk));
  const rejection = results.find((result) => result.status === 'rejected');
  if (rejection !== undefined) throw rejection.reason;
}
