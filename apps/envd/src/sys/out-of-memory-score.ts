import { readFileSync, writeFileSync } from 'node:fs';

const path = '/proc/self/oom_score_adj';
/** The kernel kills a user's process before envd (E2B: 100). */
const userScore = '100';

/**
 * Runs `action` while children inherit the score of user processes. If /proc cannot be written, they inherit envd's.
 */
export function withUserScore<T>(action: () => T): T {
  const own = tryRead();
  if (own === undefined || !tryWrite(userScore)) return action();
  try {
    return action();
  } finally {
    tryWrite(own);
  }
}

function tryRead(): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function tryWrite(score: string): boolean {
  try {
    writeFileSync(path, score);
    return true;
  } catch {
    return false;
  }
}
