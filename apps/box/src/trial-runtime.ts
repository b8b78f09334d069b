import { access, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { buildEnvdRuntime } from '@soulbox/envd/build';
import type { EnvdRuntime } from '@soulbox/isolation';

/** The envd that the server of this data folder gives to sandboxes; where there is no such folder yet, one for the time being. */
export async function openTrialRuntime(dataDirectory: string): Promise<EnvdRuntime & AsyncDisposable> {
  const runtimes = join(dataDirectory, 'runtime');
  try {
    await access(runtimes);
    return { ...(await buildEnvdRuntime(runtimes)), [Symbol.asyncDispose]: () => Promise.resolve() };
  } catch {
    const parent = await mkdtemp(join(tmpdir(), 'soulbox-runtime-'));
    return { ...(await buildEnvdRuntime(parent)), [Symbol.asyncDispose]: () => removeTree(parent) };
  }
}
