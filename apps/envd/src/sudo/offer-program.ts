import { access, symlink } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { LifeLog } from '../life-log.ts';

/** The one the root file system brings, which has no effect here. */
const real = '/usr/bin/sudo';
/** Before it in every usual PATH. */
const ours = '/usr/local/bin/sudo';
/** In the folder that every sandbox shares; made by build/. */
const program = '/.soulbox/sudo';

/** Where the root file system has a sudo, puts a link to ours before it. Whatever stands there already stays. */
export async function offerProgram(log: LifeLog): Promise<void> {
  try {
    await access(real);
    await symlink(program, ours);
  } catch (error) {
    if (isNodeError(error) && (error.code === 'EEXIST' || error.code === 'ENOENT')) return;
    log.record('warn', 'sudo', 'No link to sudo could be made', { cause: String(error) });
  }
}
