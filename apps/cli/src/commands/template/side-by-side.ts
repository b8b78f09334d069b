/**
 * Runs `work` for each item, with a limited number at a time, and returns the results in order. All items are tried;
 * then the first error is thrown.
 */
export async function sideBySide<T, R>(
  items: readonly T[],
  lanes: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: PromiseSettledResult<R>[] = [];
  const waiting = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of waiting) [results[index]] = await Promise.allSettled([work(item)]);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
  const rejected = results.find((result) => result.status === 'rejected');
  if (rejected !== undefined) throw rejected.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
