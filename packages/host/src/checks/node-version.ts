import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { findVersion, isAtLeast } from '../versions.ts';

export const checkNodeVersion: Check = async () => {
  const base = { id: 'node-version', title: 'Node.js of the server', detail: process.version };
  const ok = isAtLeast(findVersion(process.version) ?? [0], [24]);
  if (ok) return await Promise.resolve({ ...base, status: 'ok' });
  return {
    ...base,
    status: 'fail',
    fix: sameFix('run npm ci in a clone, or install the package again: Node 24 comes with both'),
  };
};
