import { readFile } from 'node:fs/promises';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';

const warnBelow = 16_384;

/** The server needs a few sockets for each sandbox and each stream. */
export const checkOpenFiles: Check = async () => {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '0';
  const base = {
    id: 'open-files',
    title: 'Open files',
    detail: `hard limit ${hard}`,
    protects: 'many concurrent streams',
  };
  if (hard === 'unlimited' || Number(hard) >= warnBelow) return { ...base, status: 'ok' };
  return { ...base, status: 'warn', fix: sameFix('ulimit -Hn 1048576, or LimitNOFILE=1048576 in the systemd unit') };
};
