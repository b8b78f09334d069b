import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run, SoulBoxError } from '@soulbox/base';

const program = ['perl', fileURLToPath(new URL('merge-memory.pl', import.meta.url))];

/** In the folder of the kernel's settings for KSM: 0 does not merge, 1 merges, 2 takes back what was merged. */
export const mergeSwitch = '/sys/kernel/mm/ksm/run';

/** The words before a command whose memory, with that of all programs that it starts, is merged with equal memory. */
export const mergingMemory: readonly string[] = program;

/**
 * Lets the kernel merge the memory of what is started with `mergingMemory`, host-wide, and leaves its speed as the
 * operator has set it. Throws `configuration_invalid` if this kernel cannot: programs have inherited the permission
 * across execve since Linux 6.10.
 */
export async function startMerging(settingFile = mergeSwitch): Promise<void> {
  try {
    await run(program[0] ?? '', [...program.slice(1), ...program]);
    if ((await readFile(settingFile, 'latin1')).trim() !== '1') await writeFile(settingFile, '1');
  } catch (cause) {
    throw new SoulBoxError(
      'config_invalid',
      'SOULBOX_MERGE_MEMORY needs a kernel with KSM, from Linux 6.10 on, whose settings in /sys/kernel/mm/ksm this server can write.',
      { cause },
    );
  }
}
