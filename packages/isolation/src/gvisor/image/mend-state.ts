import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { findEpollFaults } from './epoll-faults.ts';
import { parseStateFile } from './state-file.ts';

/** From this one on runsc does itself what `findEpollFaults` is for. */
const firstSoundRelease = 20_261_001;

/** Whether the states of a runsc need to be mended, by what it says of its version. */
export function needsMending(version: string): boolean {
  const [, date = '0'] = /(?:^|[^0-9])(20\d{6})(?:[^0-9]|$)/.exec(version) ?? [];
  return Number(date) < firstSoundRelease;
}

/**
 * Corrects, in place, what a restore would bring back wrong. Throws `checkpoint_failed` when the state is of an unknown form:
 * nobody could tell then whether programs would survive it.
 */
export async function mendState(directory: string): Promise<void> {
  const file = await open(join(directory, 'checkpoint.img'), 'r+');
  try {
    const { bytes, offsets } = parseStateFile(await file.readFile());
    for (const { start, end } of findEpollFaults(bytes))
      for (let at = start; at < end; at++) {
        // A varint may end in zeros; all but its last byte say that it goes on.
        const zero = Buffer.of(at === end - 1 ? 0x00 : 0x80);
        await file.write(zero, 0, 1, offsets[at]);
      }
  } finally {
    await file.close();
  }
}
