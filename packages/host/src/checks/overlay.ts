import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { probe } from '../probe.ts';

// One shell runs all steps in the private mount namespace. Its only variable part is passed as an argument.
const script = `
set -e
mount -t tmpfs none "$1"
mkdir "$1/lower" "$1/mapped" "$1/upper" "$1/work" "$1/root"
mount --bind -o X-mount.idmap=b:0:1000000:65536 "$1/lower" "$1/mapped"
mount -t overlay -o "lowerdir=$1/mapped,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
`;

/** Mounts an overlay over an idmapped bind mount for real. */
export const checkOverlay: Check = async () => {
  const base = {
    id: 'overlay',
    title: 'Overlay over idmapped mounts',
    protects: 'one read-only template for sandboxes of different owners',
  };
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-probe-'));
  try {
    const tried = await probe(['--mount'], ['sh', '-c', script, 'sh', directory]);
    if (tried.ok) return { ...base, status: 'ok', detail: 'works' };
    const overlay = (await readFile('/proc/filesystems', 'utf8')).includes('\toverlay\n');
    return {
      ...base,
      status: 'fail',
      detail: tried.why,
      fix: sameFix(overlay ? 'use Linux 6.3 or later with util-linux 2.39 or later' : 'modprobe overlay'),
    };
  } finally {
    await removeTree(directory);
  }
};
