import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run, SoulBoxError } from '@soulbox/base';

const program = ['perl', fileURLToPath(new URL('merge-memory.pl', import.meta.url))];

/** In the folder of the kernel's settings for KSM: 0 does not merge, 1 merges, 2 takes back what was merged. */
export const mergeSwitch = '/sys/kernel/mm/ksm/run';

/** The words before a command. The kernel may merge its memory, and that of all programs that it starts. */
export const mergingMemory: readonly string[] = program;

/**
 * Turns KSM on for the whole host, at the speed that the operator has set. Throws `config_invalid` if this kernel cannot
 * merge, if programs do not inherit the permission across execve, or if the setting cannot be written.
 */
export async function startMerging(settingFile = mergeSwitch): Promise<void> {
  try {
    await run(program[0] ?? '', [...program.slice(1), ...program]);
    if ((await readFile(settingFile, 'latin1')).trim() !== '1') await writeFile(settingFile, '1');
  } catch (cause) {
    throw new SoulBoxError(
      'config_invalid',
      `SOULBOX_MERGE_MEMORY cannot be used on this host. It needs a recent kernel with KSM (tested: Linux 6.18), perl, and permission to write ${settingFile}. Remove the setting to start without it`,
      { cause },
    );
  }
}
