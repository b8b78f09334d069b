import type { Language } from './names.ts';
import type { Runtime } from './runtime.ts';

/** The first version number in a runtime's version output, such as `22.18.0`. */
export function parseVersion(text: string): string | undefined {
  return /\d+(?:\.\d+)+/.exec(text.slice(0, 1000))?.[0];
}

/** Whether this version of a runtime runs the language. An unknown version counts as one that does. */
export function runs(runtime: Runtime, language: Language, version: string | undefined): boolean {
  const support = runtime.features.languages.find((candidate) => candidate.language === language);
  if (support === undefined) return false;
  return support.since === undefined || version === undefined || compareVersions(version, support.since) >= 0;
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let at = 0; at < Math.max(left?.length ?? 0, right?.length ?? 0); at++) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
