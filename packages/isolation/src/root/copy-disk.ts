import { chmod, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CommandError, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import type { ToolGroup } from '../host/host-tool.ts';
import { runHostTool } from '../host/host-tool.ts';
import { findDiskDevice } from './disk-traffic.ts';
import type { RootLayout } from './layout.ts';

const copyTimeoutMs = 120_000;
/** Of a copy that is not whole yet: the state store removes what a crash left of one. */
const partSuffix = '.tmp';

/**
 * Copies the disk of a sandbox that stands still to `layer`, which appears whole or not at all. What the kernel still
 * holds of its file system is written into the image first, through the block device: no path of the sandbox is touched. Holes
 * stay holes, and where the host's file system can share blocks nothing is copied. Throws `disk_full`.
 */
export async function copyDisk(
  layout: RootLayout,
  instance: SandboxInstance,
  tools: ToolGroup,
  layer: string,
  signal: AbortSignal,
): Promise<void> {
  const tool = { directory: instance.directory, tools, signal, timeoutMs: copyTimeoutMs };
  const part = layer + partSuffix;
  try {
    await runHostTool('blockdev', ['--flushbufs', await findNode(layout)], tool);
    await runHostTool('cp', ['--reflink=auto', '--sparse=auto', layout.image, part], tool);
    await chmod(part, 0o400);
    await rename(part, layer);
  } catch (error) {
    await rm(part, { force: true });
    if (error instanceof CommandError && error.stderr.includes('No space left'))
      throw new SoulBoxError('disk_full', 'The disk of the host has no room for a copy of the sandbox.', {
        cause: error,
      });
    throw error;
  }
}

/** The loop device's node, by the kernel's own name for it; and only if it is the one of this very image. */
async function findNode(layout: RootLayout): Promise<string> {
  const folder = join('/sys/dev/block', findDiskDevice(layout) ?? 'none');
  const [image, uevent] = await Promise.all(
    ['loop/backing_file', 'uevent'].map((name) => readFile(join(folder, name), 'utf8').catch(() => '')),
  );
  const [, name] = /^DEVNAME=(loop\d+)$/m.exec(uevent ?? '') ?? [];
  if (name === undefined || basename(image?.trimEnd() ?? '') !== basename(layout.image))
    throw new SoulBoxError('checkpoint_failed', 'The disk of the sandbox is not mounted.');
  return join('/dev', name);
}
