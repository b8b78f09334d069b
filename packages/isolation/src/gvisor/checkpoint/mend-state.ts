import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clearEpolls } from './clear-epolls.ts';
import { formatStateFile, readStateFile, stateFileName } from './state-file.ts';

/** From this release on runsc does itself what `clearEpolls` does. */
const firstSoundRelease = 20_261_001;

/** Whether the state files of a runsc need to be mended, by what it says of its version. */
export function needsMending(version: string): boolean {
  const [, date = '0'] = /\b(20\d{6})\b/.exec(version) ?? [];
  return Number(date) < firstSoundRelease;
}

/** Corrects what a restore would bring back wrong. Throws when the state file has an unknown form. */
export async function mendState(directory: string): Promise<void> {
  const file = await readStateFile(directory);
  clearEpolls(file.objects);
  await writeFile(join(directory, stateFileName), formatStateFile(file));
}
