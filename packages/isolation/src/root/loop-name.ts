import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ReadText } from '@soulbox/linux/held-files';
import { readOnce } from '@soulbox/linux/held-files';
import { findDiskDevice } from './disk-traffic.ts';
import type { RootLayout } from './layout.ts';

/**
 * The kernel's name for the loop device of a sandbox, such as `loop3`; undefined unless the device currently belongs to
 * this image, because devices are reused. Synchronous: three small reads that never block.
 */
export function findLoopName(layout: Pick<RootLayout, 'image' | 'diskOrigin'>): string | undefined {
  const folder = join('/sys/dev/block', findDiskDevice(layout) ?? 'none');
  try {
    const [, name] = /^DEVNAME=(loop\d+)$/m.exec(readFileSync(join(folder, 'uevent'), 'utf8')) ?? [];
    return name !== undefined && isBehind(name, layout.image) ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the file behind the loop device is the image, even if the file has been moved. */
export function isBehind(loopName: string, image: string, read: ReadText = readOnce): boolean {
  try {
    const file = read(`/sys/block/${loopName}/loop/backing_file`).trimEnd();
    return basename(file.replace(/ \(deleted\)$/, '')) === basename(image);
  } catch {
    return false;
  }
}
