import { readFileSync, writeFileSync } from 'node:fs';
import type { Logger } from '@soulbox/base';

/** Until when an earlier process has read events, in a file that a restart of the host removes. */
export interface ReadMark {
  /** Unix milliseconds. Undefined if it is not known. */
  readonly foundMs: number | undefined;
  write(nowMs: number): void;
}

/** `path`: in a file system in memory, into which only root writes. Absent: nothing is kept. */
export function openReadMark(path: string | undefined, logger: Logger): ReadMark {
  if (path === undefined) return { foundMs: undefined, write: () => undefined };
  let isWarned = false;
  return {
    foundMs: readTime(path),
    write(nowMs) {
      try {
        writeFileSync(path, String(nowMs), { mode: 0o600 });
      } catch (err) {
        if (!isWarned) logger.warn({ err }, 'the log of connections will not know how long a restart took');
        isWarned = true;
      }
    },
  };
}

function readTime(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    const timeMs = /^\d{13}$/.test(text) ? Number(text) : Infinity;
    // A time to come is from a clock that was set back since.
    return timeMs <= Date.now() ? timeMs : undefined;
  } catch {
    return undefined;
  }
}
