import { existsSync } from 'node:fs';

/** Why tests with a real mount are skipped here; `undefined` if they are not. */
export const whyNoMounts = !existsSync('/dev/fuse')
  ? '/dev/fuse is missing'
  : process.getuid?.() === 0
    ? undefined
    : 'root is needed to mount';
