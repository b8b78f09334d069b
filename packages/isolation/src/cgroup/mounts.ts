import { readFileSync } from 'node:fs';

/** One line of /proc/PID/mountinfo (proc(5)), reduced to the fields that SoulBox needs. */
export interface MountEntry {
  /** `major:minor` of the mounted device. */
  readonly device: string;
  /** The folder or file of the file system that is visible at the mount point. */
  readonly root: string;
  readonly mountPoint: string;
  readonly fileSystem: string;
  /** The mounted device, or any word for file systems without one. */
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Parses mountinfo; malformed lines are skipped. */
export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const [before, after] = line.split(' - ', 2);
    if (before === undefined || after === undefined) continue;
    const [, , device, root, mountPoint] = before.split(' ');
    const [fileSystem, source, superOptions = ''] = after.split(' ');
    if (device === undefined || root === undefined || mountPoint === undefined) continue;
    if (fileSystem === undefined || source === undefined) continue;
    entries.push({
      device,
      root: unescapeMount(root),
      mountPoint: unescapeMount(mountPoint),
      fileSystem,
      source: unescapeMount(source),
      superOptions: superOptions.split(','),
    });
  }
  return entries;
}

/** The mounts that this process sees, in the order of their creation. The read never blocks: procfs. */
export function readMounts(): MountEntry[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
