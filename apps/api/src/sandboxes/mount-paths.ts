import { SoulBoxError } from '@soulbox/base';
import { faultOfVolumePath } from '@soulbox/contract';
import { quoteForError } from '../http/quote-for-error.ts';
import { volumeMountsMax } from '../limits.ts';
import type { NewSandbox } from './new-sandbox-schema.ts';

/**
 * Throws `bad_request` for a path at which nothing can be mounted, for two mounts at one path or below each other, and for
 * too many volumes and buckets together. Links in the sandbox are not known here: the runner resolves them.
 */
export function checkMountPaths({
  volumeMounts = [],
  bucketMounts = [],
}: Pick<NewSandbox, 'volumeMounts' | 'bucketMounts'>): void {
  const mounts = [
    ...volumeMounts.map((mount) => ({ ...mount, member: 'volumeMounts', what: 'volume' })),
    ...bucketMounts.map((mount) => ({ ...mount, member: 'bucketMounts', what: 'bucket' })),
  ];
  if (mounts.length > volumeMountsMax)
    throw new SoulBoxError(
      'bad_request',
      `bucketMounts: a sandbox has at most ${volumeMountsMax} volumes and buckets together, not ${mounts.length}.`,
    );
  const paths = mounts.map(({ path }) => path);
  for (const [at, { name, path, member, what }] of mounts.entries()) {
    const fault = faultOfVolumePath(path, paths.slice(0, at));
    if (fault === undefined) continue;
    const mount = `${what} ${quoteForError(name)} cannot be mounted at ${quoteForError(path)}`;
    throw new SoulBoxError('bad_request', `${member}: ${mount}: ${fault}.`);
  }
}
