/**
 * Waits for all steps even if one fails, because a step that continues in the background would disturb the cleanup. Then
 * throws the error of the first failed step in the list.
 */
export async function completeAll(steps: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(steps)).find((step) => step.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
