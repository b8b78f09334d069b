import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';

const cache = '/var/cache/soulbox-test';
/** The time to download and unpack Debian's packages. */
const buildTimeoutMs = 600_000;

/**
 * A Debian root with sudo, a static busybox and the user `user` (1000). mmdebstrap creates it once per machine. Tests
 * never write to it.
 */
export async function findTestRoot(): Promise<string> {
  const root = join(cache, 'envd-root-2');
  if (await exists(root)) return root;
  await mkdir(cache, { recursive: true });
  const parent = await mkdtemp(join(cache, 'building-'));
  const building = join(parent, 'root');
  try {
    const args = ['--variant=minbase', '--include=sudo,procps,busybox-static', 'trixie', building];
    await run('mmdebstrap', args, { timeoutMs: buildTimeoutMs });
    await run('chroot', [building, 'useradd', '-m', '-s', '/bin/bash', '-u', '1000', '-G', 'sudo', 'user']);
    await writeFile(join(building, 'etc/sudoers.d/user'), 'user ALL=(ALL:ALL) NOPASSWD: ALL\n', { mode: 0o440 });
    await rename(building, root).catch(async (error: unknown) => {
      // Another test file was faster. Its root is equivalent.
      if (!(await exists(root))) throw error;
    });
  } finally {
    await removeTree(parent);
  }
  return root;
}

/** Creates a root without any files. */
export async function createEmptyRoot(): Promise<{ path: string; remove: () => Promise<void> }> {
  await mkdir(cache, { recursive: true });
  const path = await mkdtemp(join(cache, 'empty-'));
  return { path, remove: async () => await rm(path, { recursive: true }) };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
