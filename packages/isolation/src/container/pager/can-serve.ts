import { readFileSync } from 'node:fs';

const setting = '/proc/sys/vm/unprivileged_userfaultfd';

/**
 * Whether pagers can work on this host: a restored process, which has no rights on the host, must be allowed to open a
 * userfaultfd that also reports memory accesses by the kernel (userfaultfd(2)).
 */
export function canServePages(): boolean {
  try {
    return readFileSync(setting, 'latin1').trim() === '1';
  } catch {
    return false;
  }
}
