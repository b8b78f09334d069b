import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { findVersion, isAtLeast } from '../versions.ts';

/**
 * Linux 6.9 sends requests without a reply again to the next process of the server, and 6.12 has FUSE mounts with the ids
 * of a sandbox.
 */
const minimum = [6, 12];

/**
 * Whether sandboxes can mount volumes and buckets (docs/volumes.md, docs/buckets.md). The contents of volumes are there in
 * any case.
 */
export const checkVolumes: Check = async () => await Promise.resolve(judgeVolumes(release(), existsSync('/dev/fuse')));

export function judgeVolumes(kernel: string, hasDevice: boolean): Finding {
  const base = {
    id: 'volumes',
    title: 'Volumes and buckets in sandboxes',
    protects: 'creates with volumeMounts or bucketMounts',
  };
  if (!isAtLeast(findVersion(kernel) ?? [0], minimum))
    return {
      ...base,
      status: 'warn',
      detail: `sandboxes cannot mount volumes and buckets: Linux ${kernel} has no FUSE mounts with mapped ids, 6.12 has`,
      fix: sameFix('use Linux 6.12 or later'),
    };
  if (!hasDevice)
    return {
      ...base,
      status: 'warn',
      detail: 'sandboxes cannot mount volumes and buckets: /dev/fuse is missing',
      fix: sameFix('modprobe fuse; in a container, pass the device /dev/fuse in'),
    };
  return { ...base, status: 'ok', detail: '/dev/fuse' };
}
