import { access, symlink } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { LifeLog } from '../life-log.ts';

/** The sudo of the root file system, which has no effect here. */
const real = '/usr/bin/sudo';
/** This path comes earlier in every usual PATH. */
const ours = '/usr/local/bin/sudo';
/** In the folder that every sandbox shares, created by build/. */
const program = '/.soulbox/sudo';

/** If the root file system has a sudo, creates a link to ours that is found first. An existing file there stays. */
export async function offerProgram(log: LifeLog): Promise<void> {
  try {
    await access(real);
    await symlink(program, ours);
  } catch (error) {
    if (isNodeError(error) && (error.code === 'EEXIST' || error.code === 'ENOENT')) return;
    log.record('warn', 'sudo', 'The link to sudo could not be created', { cause: String(error) });
  }
}
