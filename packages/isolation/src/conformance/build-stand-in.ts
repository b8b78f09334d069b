import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNodeError, removeTree, run } from '@soulbox/base';
import type { EnvdBundle } from '../driver.ts';

const mountPoint = '/.soulbox';

/** Compiles the stand-in with the host's loader and libraries, like envd's own build, into a new folder. */
export async function buildStandIn(): Promise<EnvdBundle & AsyncDisposable> {
  const bun = join(dirname(createRequire(import.meta.url).resolve('bun/package.json')), 'bin/bun.exe');
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-stand-in-'));
  const source = fileURLToPath(new URL('stand-in-agent.ts', import.meta.url));
  await run(bun, ['build', '--compile', '--target=bun', `--outfile=${join(directory, 'agent')}`, source]);
  const libraries = [...(await run('ldd', [bun])).matchAll(/(\/\S+) \(/g)].map(([, path = '']) => path);
  for (const path of libraries) await copyFile(path, join(directory, basename(path)));
  const loader = libraries.map((path) => basename(path)).find((name) => name.startsWith('ld-')) ?? 'ld.so';
  await run('chmod', ['-R', 'a+rX,u+w', directory]);
  return {
    directory,
    mountPoint,
    command: [`${mountPoint}/${loader}`, '--library-path', mountPoint, `${mountPoint}/agent`],
    environment: [],
    forOwnKernel: [],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

const rootFolder = '/var/cache/soulbox-test';
const packages = 'sudo,python3,procps,iproute2,util-linux';

/** A Debian root with sudo and Python, created once per machine (about 15 s) and shared by all tests. */
export async function findOrMakeTestRoot(): Promise<string> {
  const root = join(rootFolder, 'root-python');
  try {
    await run('test', ['-e', join(root, 'usr/bin/sudo')]);
    return root;
  } catch {
    await run('mkdir', ['-p', rootFolder]);
    const made = await mkdtemp(join(rootFolder, 'making-'));
    await run('mmdebstrap', ['--quiet', '--variant=minbase', `--include=${packages}`, 'trixie', made], {
      timeoutMs: 600_000,
    });
    try {
      await rename(made, root);
    } catch (error) {
      // Another test file was faster; its root is equivalent.
      await run('test', ['-e', join(root, 'usr/bin/sudo')]);
      if (!isNodeError(error)) throw error;
      await removeTree(made);
    }
    return root;
  }
}
