/** Which groups of volumes have a copy that is being made. */
export interface CopyCounts {
  /** Until it is disposed. */
  begin(groupId: string): Disposable;
  /** Grows with each begin and each end. Undefined in between. */
  of(groupId: string): number | undefined;
}

export function createCopyCounts(): CopyCounts {
  const running = new Map<string, number>();
  let steps = 0;
  return {
    begin(groupId) {
      steps += 1;
      running.set(groupId, (running.get(groupId) ?? 0) + 1);
      return {
        [Symbol.dispose]() {
          steps += 1;
          const left = (running.get(groupId) ?? 1) - 1;
          if (left > 0) running.set(groupId, left);
          else running.delete(groupId);
        },
      };
    },
    of: (groupId) => (running.has(groupId) ? undefined : steps),
  };
}
