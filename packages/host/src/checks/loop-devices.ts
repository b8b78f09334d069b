import { access } from 'node:fs/promises';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';

export const checkLoopDevices: Check = async () => {
  const base = { id: 'loop-devices', title: 'Loop devices', protects: 'a hard limit on the disk of each sandbox' };
  return await access('/dev/loop-control').then(
    () => ({ ...base, status: 'ok' as const, detail: '/dev/loop-control' }),
    () => ({ ...base, status: 'fail' as const, detail: '/dev/loop-control is missing', fix: sameFix('modprobe loop') }),
  );
};
