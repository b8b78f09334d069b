import { readFileSync } from 'node:fs';

const pageBytes = 4096;

/**
 * How many bytes of files all programs of the host have changed in the page cache since its boot (`nr_dirtied` of
 * /proc/vmstat). NaN if this cannot be read. Synchronous: a read of 40 µs that never blocks.
 */
export function readDirtied(): number {
  try {
    const [, pages] = /^nr_dirtied (\d+)$/m.exec(readFileSync('/proc/vmstat', 'latin1')) ?? [];
    return Number(pages) * pageBytes;
  } catch {
    return NaN;
  }
}
