import { chmod, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import type { ToolGroup } from '../host/host-tool.ts';
import { runHostTool } from '../host/host-tool.ts';
import type { RootLayout } from './layout.ts';
import { findLoopName } from './loop-name.ts';

const copyTimeoutMs = 120_000;
/** Suffix of an incomplete copy: the checkpoint store removes those that a crash left. */
const partSuffix = '.tmp';

/**
 * Copies the disk of a frozen sandbox to `layer`, which appears complete or not at all. First the data that the kernel
 * still holds of its file system is written into the image, through the block device: no path of the sandbox is
 * touched. Holes stay holes. The copy shares no blocks: a write to a shared block takes a new one of the host's, which
 * no budget has counted. Throws `disk_full`.
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
    await runHostTool('blockdev', ['--flushbufs', findNode(layout)], tool);
    await runHostTool('cp', ['--reflink=never', '--sparse=auto', layout.image, part], tool);
    await chmod(part, 0o400);
    await rename(part, layer);
  } catch (error) {
    await rm(part, { force: true });
    if (error instanceof CommandError && error.stderr.includes('No space left'))
      throw new SoulBoxError(
        'disk_full',
        'The disk of the host does not have enough space for a copy of the sandbox.',
        {
          cause: error,
        },
      );
    throw error;
  }
}

/** The loop device's node, by the kernel's name for it; only if the device belongs to this image. */
export function findNode(layout: RootLayout): string {
  const name = findLoopName(layout);
  if (name === undefined) throw new SoulBoxError('checkpoint_failed', 'The disk of the sandbox is not mounted.');
  return join('/dev', name);
}
