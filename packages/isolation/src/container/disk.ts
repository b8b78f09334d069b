import { open } from 'node:fs/promises';
import type { SandboxSpec } from '../driver.ts';
import type { SandboxLayout } from './layout.ts';
import type { ToolOptions } from './host-tool.ts';
import { runHostTool } from './host-tool.ts';

const bytesPerMb = 1024 * 1024;
const bytesPerInode = 16_384;
const inodeSize = 256;

/**
 * Size of an image whose file system offers `diskMb`: ext4 keeps its inode tables, a 64th of the disk, for itself, and
 * `df` inside should name the size that was asked for. Whole blocks.
 */
export function imageSizeBytes(diskMb: number): number {
  const blockSize = 4096;
  return Math.ceil((diskMb * bytesPerMb * (1 + inodeSize / bytesPerInode)) / blockSize) * blockSize;
}

/**
 * Makes the sandbox's ext4 image, filled from the skeleton: about 3 ms for 10 GiB, 300 KiB on the disk. No journal (see
 * docs/decisions/003), no room for a later resize (it makes mkfs write 4 MiB), nothing kept for root.
 */
export async function makeDisk(spec: SandboxSpec, layout: SandboxLayout, tool: ToolOptions): Promise<void> {
  const image = await open(layout.image, 'wx', 0o600);
  try {
    await image.truncate(imageSizeBytes(spec.limits.diskMb));
  } finally {
    await image.close();
  }
  await runHostTool(
    'mkfs.ext4',
    [
      ...['-q', '-F', '-b', '4096', '-I', String(inodeSize), '-i', String(bytesPerInode), '-m', '0'],
      ...['-O', '^has_journal,^resize_inode', '-E', 'lazy_itable_init=1,nodiscard'],
      ...['-d', layout.skeleton, layout.image],
    ],
    tool,
  );
}
