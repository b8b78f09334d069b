import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { superviseMounts } from '@soulbox/fuse';
import type { SupervisedMounts, SupervisorEvent } from '@soulbox/fuse';
import type { ServedBucket } from './bucket-server.ts';

export interface MountedBucket extends AsyncDisposable {
  readonly path: string;
  readonly folder: string;
  readonly supervisor: SupervisedMounts;
  readonly events: readonly SupervisorEvent[];
}

/** Mounts a bucket. Another process serves it, so a test may use it synchronously. */
export async function mountBucket(served: Omit<ServedBucket, 'folder'>): Promise<MountedBucket> {
  const root = await mkdtemp(join(tmpdir(), 'soulbox-bucket-'));
  const path = await mkdtemp(join(root, 'mount-'));
  const folder = join(root, 'state');
  const events: SupervisorEvent[] = [];
  const supervisor = await superviseMounts({
    mounts: [{ mountPoint: path, source: 'bucket' }],
    program: join(import.meta.dirname, 'bucket-server.ts'),
    args: [JSON.stringify({ ...served, folder })],
    execArgv: ['--conditions=soulbox-source'],
    standby: false,
    onEvent: (event) => void events.push(event),
  });
  return {
    ...{ path, folder, supervisor, events },
    async [Symbol.asyncDispose]() {
      await supervisor[Symbol.asyncDispose]();
      await removeTree(root);
    },
  };
}
