import { chmod, cp, mkdir, mkdtemp, readdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTree, run, SoulBoxError } from '@soulbox/base';
import { installPackages } from '../install-packages.ts';
import { unpackFromUnstable } from './debian-unstable.ts';
import { ownCriuDirectory, readCriu } from './find-criu.ts';
import { criuEnvironment } from './criu.ts';

/** CRIU and those libraries that a stable release may lack or have too old. */
const unstablePackages = ['criu', 'libcompel1', 'libnet9', 'libnl-3-200', 'libnl-route-3-200', 'libprotobuf-c1'];
/** The other libraries that CRIU is linked with. Their versions in Debian 13, Ubuntu 24.04 and newer are sufficient. */
const stablePackages = ['libbsd0', 'libgnutls30t64', 'libnftables1', 'libuuid1'];
const workPrefix = '.criu-';
const abandonedAfterMs = 3_600_000;

/**
 * Installs CRIU of Debian unstable into `directory`, the program next to its libraries, for use with LD_LIBRARY_PATH.
 * Works on Debian and Ubuntu and needs the network. The folder appears complete and with a program that starts, or not
 * at all; `tryCriu` then tells whether it can save processes. Throws CommandError or `host_not_ready`.
 */
export async function installCriu(onProgress: (step: string) => void, directory = ownCriuDirectory): Promise<void> {
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true });
  await removeAbandoned(parent);
  const work = await mkdtemp(join(parent, workPrefix));
  // Apt's own user needs access to it.
  await chmod(work, 0o755);
  try {
    onProgress('fetching CRIU');
    const root = await unpackFromUnstable(work, unstablePackages);
    const made = join(work, 'criu');
    await collect(root, made);
    await installMissingLibraries(made, onProgress);
    if ((await readCriu(join(made, 'criu'), made)) === undefined) {
      throw new SoulBoxError('host_not_ready', 'The CRIU of Debian unstable does not run on this host.');
    }
    await replaceFolder(directory, made, join(work, 'old'));
  } finally {
    await removeTree(work);
  }
}

/** Removes the leftovers of killed installations. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of (await readdir(parent)).filter((entry) => entry.startsWith(workPrefix))) {
    const { mtimeMs } = await stat(join(parent, name));
    if (Date.now() - mtimeMs > abandonedAfterMs) await removeTree(join(parent, name));
  }
}

/** Copies the program, and each library under the name that programs request, such as `libnl-3.so.200`. */
async function collect(root: string, target: string): Promise<void> {
  await mkdir(target);
  await cp(join(root, 'usr/sbin/criu'), join(target, 'criu'));
  for (const entry of await readdir(join(root, 'usr/lib'), { recursive: true })) {
    const name = /\/(lib[^/]+\.so\.\d+)$/.exec(entry)?.[1];
    if (name !== undefined) await cp(join(root, 'usr/lib', entry), join(target, name), { dereference: true });
  }
}

async function installMissingLibraries(directory: string, onProgress: (step: string) => void): Promise<void> {
  const linked = await run('ldd', [join(directory, 'criu')], { env: criuEnvironment(directory) });
  if (linked.includes('=> not found')) await installPackages(stablePackages, onProgress);
}

/** A crash between the two renames leaves no folder. The next setup installs it again. */
async function replaceFolder(target: string, source: string, aside: string): Promise<void> {
  await rename(target, aside).catch(() => undefined);
  await rename(source, target);
}
