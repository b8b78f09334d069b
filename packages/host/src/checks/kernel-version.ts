import { release } from 'node:os';
import type { Check } from '../finding.ts';
import { findVersion, isAtLeast } from '../versions.ts';

/** Linux 5.19 introduced overlayfs over idmapped layers. */
const minimum = [5, 19];

export const checkKernelVersion: Check = async () => {
  const version = findVersion(release()) ?? [0];
  const base = { id: 'kernel-version', title: 'Kernel', protects: 'templates shared by sandboxes of different owners' };
  if (isAtLeast(version, minimum)) return await Promise.resolve({ ...base, status: 'ok', detail: release() });
  return {
    ...base,
    status: 'fail',
    detail: `${release()} is too old, 5.19 is required`,
    fix: {
      debian: 'upgrade to Debian 12 / Ubuntu 24.04 or later, or install a kernel from backports',
      fedora: 'dnf upgrade kernel, then reboot',
      alpine: 'upgrade to Alpine 3.17 or later',
      arch: 'pacman -Syu, then reboot',
    },
  };
};
