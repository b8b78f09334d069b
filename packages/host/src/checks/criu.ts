import { release } from 'node:os';
import { run } from '@soulbox/base';
import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { findProgram } from '../system.ts';
import { findVersion, isAtLeast, showVersion } from '../versions.ts';

export const checkCriu: Check = async () => {
  const path = await findProgram('criu');
  const text = path === undefined ? '' : await run(path, ['--version'], { timeoutMs: 10_000 }).catch(() => '');
  return judgeCriu(findVersion(text), findVersion(release()) ?? [0]);
};

/** CRIU before 4.2 cannot dump an inet socket on kernels from 6.16 on (its issues 2705 and 2718). */
export function judgeCriu(criu: readonly number[] | undefined, kernel: readonly number[]): Finding {
  const base = { id: 'criu', title: 'CRIU', protects: 'pausing sandboxes to disk, a later feature; nothing else' };
  if (criu === undefined) return { ...base, status: 'ok', detail: 'not installed, and not needed by this version' };
  if (isAtLeast(kernel, [6, 16]) && !isAtLeast(criu, [4, 2])) {
    return {
      ...base,
      status: 'warn',
      detail: `${showVersion(criu)} cannot save sockets on this kernel; this version of SoulBox does not use it`,
      fix: sameFix('install CRIU 4.2 or later'),
    };
  }
  return { ...base, status: 'ok', detail: showVersion(criu) };
}
