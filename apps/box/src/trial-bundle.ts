import { access, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { buildEnvdBundle } from '@soulbox/envd/build';
import type { EnvdBundle } from '@soulbox/isolation';

/**
 * The envd bundle that the server of this data folder gives to sandboxes. If the folder does not exist yet, a temporary
 * one.
 */
export async function openTrialBundle(dataDirectory: string): Promise<EnvdBundle & AsyncDisposable> {
  const bundles = join(dataDirectory, 'runtime');
  try {
    await access(bundles);
    return { ...(await buildEnvdBundle(bundles)), [Symbol.asyncDispose]: () => Promise.resolve() };
  } catch {
    const parent = await mkdtemp(join(tmpdir(), 'soulbox-envd-bundle-'));
    return { ...(await buildEnvdBundle(parent)), [Symbol.asyncDispose]: () => removeTree(parent) };
  }
}
