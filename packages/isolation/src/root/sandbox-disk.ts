import { statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import type { DiskReading, SandboxDisk, SandboxInstance } from '../driver.ts';
import type { ToolGroup } from '../host/host-tool.ts';
import { runHostTool } from '../host/host-tool.ts';
import { blockSize, inodeSize } from './disk.ts';
import type { RootLayout } from './layout.ts';
import { findLoopName, isBehind } from './loop-name.ts';

export interface DiskPlace {
  readonly layout: RootLayout;
  /** A process whose root is on the disk, as long as `isAlive` returns true. */
  readonly rootPid: number;
  readonly isAlive: () => boolean;
  readonly tools: ToolGroup;
  /** CPU time of all processes that can write to the disk. Throws if they are gone. */
  readonly readCpuUsed: () => number;
  /** How pseudo files are read: several times a second. */
  readonly read: ReadText;
  /** Closes what `read` keeps open. Called when the disk is gone. */
  readonly release: () => void;
}

/**
 * The disk of a running sandbox. The kernel enforces how much the file system may use: `reserved_clusters` is the
 * number of blocks that ext4 keeps free from every user, including the host's root, and delayed allocation checks it
 * before it accepts a page (docs/decisions/019).
 */
export function openSandboxDisk({ sandboxId }: SandboxInstance, place: DiskPlace): SandboxDisk {
  const { layout, rootPid, isAlive, readCpuUsed, tools, read, release } = place;
  const name = findLoopName(layout);
  if (name === undefined)
    throw new SoulBoxError('sandbox_not_found', `The disk of sandbox "${sandboxId}" is not mounted.`);
  const { image } = layout;
  const root = `/proc/${rootPid}/root`;
  const control = join('/sys/fs/ext4', name, 'reserved_clusters');
  const { size: sizeBytes } = statSync(image);
  let last: DiskReading | undefined;
  /** Read before each reading of the disk: what is written in between counts as written after it. */
  let cpuUsed: number | undefined;
  const cpuUsedNow = (): number | undefined => {
    try {
      return readCpuUsed();
    } catch {
      return undefined;
    }
  };

  return {
    hasRun: () => cpuUsed === undefined || cpuUsedNow() !== cpuUsed,
    peek() {
      cpuUsed = cpuUsedNow();
      try {
        const { bfree } = statfsSync(root);
        return { freeBytes: bfree * blockSize, allocatedBytes: statSync(image).blocks * 512 };
      } catch {
        return undefined;
      }
    },
    read() {
      cpuUsed = cpuUsedNow();
      if (!isBehind(name, image, read)) {
        release();
        return undefined;
      }
      // Its processes have ended, and the kernel is about to release the disk.
      if (!isAlive()) return last;
      try {
        const { bfree, files } = statfsSync(root);
        const heldBackBytes = Number(read(control)) * blockSize;
        last = {
          ...{ sizeBytes, heldBackBytes, tableBytes: files * inodeSize },
          freeBytes: bfree * blockSize,
          allocatedBytes: statSync(image).blocks * 512,
        };
      } catch {
        // The processes ended just now.
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
