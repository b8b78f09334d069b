import { readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { DiskReading, SandboxDisk, SandboxInstance } from '../driver.ts';
import type { ToolGroup } from '../host/host-tool.ts';
import { runHostTool } from '../host/host-tool.ts';
import { blockSize, inodeSize } from './disk.ts';
import type { RootLayout } from './layout.ts';
import { findLoopName, isBehind } from './loop-name.ts';

export interface DiskPlace {
  readonly layout: RootLayout;
  /** A process whose root is on the disk, as long as `isAlive` says so. */
  readonly rootPid: number;
  readonly isAlive: () => boolean;
  readonly tools: ToolGroup;
}

/**
 * The disk of a sandbox that runs. How much the file system may take is set in the
 * kernel: `reserved_clusters` is what ext4 leaves free for itself, whoever asks for a block, host's root included, and its delayed
 * allocation asks before it takes a page (docs/decisions/019).
 */
export function openSandboxDisk({ sandboxId }: SandboxInstance, place: DiskPlace): SandboxDisk {
  const { layout, rootPid, isAlive, tools } = place;
  const name = findLoopName(layout);
  if (name === undefined)
    throw new SoulBoxError('sandbox_not_found', `The disk of sandbox "${sandboxId}" is not mounted.`);
  const { image } = layout;
  const root = `/proc/${rootPid}/root`;
  const control = join('/sys/fs/ext4', name, 'reserved_clusters');
  const { size: sizeBytes } = statSync(image);
  let last: DiskReading | undefined;

  return {
    peek() {
      try {
        const { bfree } = statfsSync(root);
        return { freeBytes: bfree * blockSize, allocatedBytes: statSync(image).blocks * 512 };
      } catch {
        return undefined;
      }
    },
    read() {
      if (!isBehind(name, image)) return undefined;
      // Its processes are gone, and the kernel is about to let go of the disk.
      if (!isAlive()) return last;
      try {
        const { bfree, files } = statfsSync(root);
        const heldBackBytes = Number(readFileSync(control, 'latin1')) * blockSize;
        last = {
          ...{ sizeBytes, heldBackBytes, tableBytes: files * inodeSize },
          freeBytes: bfree * blockSize,
          allocatedBytes: statSync(image).blocks * 512,
        };
      } catch {
        // They went this moment.
      }
      return last;
    },
    allow(growthBytes, { freeBytes }) {
      const held = Math.ceil(Math.max(0, freeBytes - growthBytes) / blockSize);
      if (!isBehind(name, image)) return;
      writeFileSync(control, String(held));
    },
    async flush(signal) {
      if (!isBehind(name, image)) return;
      await runHostTool('blockdev', ['--flushbufs', join('/dev', name)], { directory: '/', tools, signal });
    },
  };
}
