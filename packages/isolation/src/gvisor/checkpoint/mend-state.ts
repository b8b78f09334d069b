import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clearEpolls } from './clear-epolls.ts';
import { formatStateFile, readStateFile, stateFileName } from './state-file.ts';

/** From this release on, runsc itself does what `clearEpolls` does. */
const firstSoundRelease = 20_261_001;

/** Whether the state files of a runsc need repairs, by its version output. */
export function needsMending(version: string): boolean {
  const [, date = '0'] = /\b(20\d{6})\b/.exec(version) ?? [];
  return Number(date) < firstSoundRelease;
}

/** Corrects the parts that a restore would restore wrongly. Throws if the state file has an unknown form. */
export async function mendState(directory: string): Promise<void> {
  const file = await readStateFile(directory);
  clearEpolls(file.objects);
  await writeFile(join(directory, stateFileName), formatStateFile(file));
}
