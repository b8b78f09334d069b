import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { testDirectory } from '../server-process.ts';
import { packBaseRootfs } from './base-rootfs.ts';
import type { Engine, MissingEngine } from './engine.ts';
import { startContainer, timeFirstOutput } from './engine.ts';
import { openOwnNamespaces } from './own-namespaces.ts';
import { findMissing } from './programs.ts';

const what = 'podman run, bridge network';
const image = 'localhost/soulbox-bench';
/** An import writes the whole root file system once. */
const slowTimeoutMs = 300_000;

/** With the root file system of the `base` template. */
export async function openPodman(): Promise<Engine | MissingEngine> {
  const missing = await findMissing(['podman']);
  if (missing.length > 0) return { what, skipped: `not installed: ${missing.join(', ')}` };
  await using cleanup = new AsyncDisposableStack();
  const scratch = await mkdtemp(join(testDirectory, 'bench-podman-'));
  cleanup.defer(async () => {
    await run('rm', ['-rf', '--one-file-system', scratch]);
  });
  const namespaces = cleanup.use(await openOwnNamespaces());
  const podman = (...args: string[]): [string, ...string[]] =>
    namespaces.enter([
      ...['env', 'PODMAN_IGNORE_CGROUPSV1_WARNING=1', 'podman', '--log-level=error'],
      ...['--root', join(scratch, 'root'), '--runroot', join(scratch, 'run'), '--cgroup-manager', 'cgroupfs'],
      ...['--network-config-dir', join(scratch, 'networks')],
      ...args,
    ]);
  const runPodman = async (...podmanArgs: string[]): Promise<void> => {
    const [program, ...args] = podman(...podmanArgs);
    await run(program, args, { timeoutMs: slowTimeoutMs });
  };
  cleanup.defer(async () => {
    await runPodman('rm', '--all', '--force', '--time', '0');
    await runPodman('system', 'reset', '--force');
  });
  const archive = join(scratch, 'rootfs.tar');
  await packBaseRootfs(archive);
  await runPodman('import', '--quiet', archive, image);
  const parts = cleanup.move();
  return {
    what,
    firstOutputMs: async () => await timeFirstOutput(podman('run', '--rm', image, '/bin/bash', '-c', 'echo ready')),
    startContainer: async () => await startContainer('podman', image, podman),
    [Symbol.asyncDispose]: async () => {
      await parts.disposeAsync();
    },
  };
}
