import { readFile, realpath } from 'node:fs/promises';

/**
 * Whether anything on this host has `rootfs` mounted. A sandbox bind-mounts it, and /proc/self/mountinfo names the
 * folder of a bind mount (field 4, relative to its file system: therefore the paths are compared from the end).
 */
export async function isRootfsMounted(rootfs: string): Promise<boolean> {
  const tail = (await realpath(rootfs)).split('/').slice(-3).join('/');
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return mounts.some((line) => {
    const root = line.split(' ')[3] ?? '';
    return root.endsWith(`/${tail}`) || line.includes(`${rootfs}:`) || line.includes(`lowerdir=${rootfs},`);
  });
}
