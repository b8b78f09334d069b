/** The first `1.2` or `1.2.3` in a text, as numbers. Undefined if there is none. */
export function findVersion(text: string): readonly number[] | undefined {
  const match = /\d+(?:\.\d+)+/.exec(text);
  return match?.[0].split('.').map(Number);
}

/** Negative, zero or positive, like `a - b`. Missing parts count as 0. */
export function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export const isAtLeast = (version: readonly number[], minimum: readonly number[]): boolean =>
  compareVersions(version, minimum) >= 0;

export const showVersion = (version: readonly number[]): string => version.join('.');
