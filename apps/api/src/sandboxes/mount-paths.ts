import { SoulBoxError } from '@soulbox/base';
import { faultOfVolumePath } from '@soulbox/contract';
import { quoteForError } from '../http/quote-for-error.ts';

/**
 * Throws `bad_request` for a path at which no volume can be mounted, and for two mounts at one path or below each other.
 * Links in the sandbox are not known here: the runner resolves them.
 */
export function checkMountPaths(mounts: readonly { readonly name: string; readonly path: string }[] = []): void {
  const paths = mounts.map(({ path }) => path);
  for (const [at, { name, path }] of mounts.entries()) {
    const fault = faultOfVolumePath(path, paths.slice(0, at));
    if (fault === undefined) continue;
    const what = `volume ${quoteForError(name)} cannot be mounted at ${quoteForError(path)}`;
    throw new SoulBoxError('bad_request', `volumeMounts: ${what}: ${fault}.`);
  }
}
