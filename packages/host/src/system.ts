import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fix } from './finding.ts';

/** The package system of the host: the key of a Fix. `other` has none of them. */
export type SystemFamily = keyof Fix | 'other';

// Services start with a short PATH without the sbin folders that contain nft and mkfs.
const programFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The full path of a host program. Undefined if it is not installed. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of programFolders) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** Reads os-release(5). */
export async function readSystemFamily(file = '/etc/os-release'): Promise<SystemFamily> {
  return familyFromOsRelease(await readFile(file, 'utf8').catch(() => ''));
}

export function familyFromOsRelease(text: string): SystemFamily {
  const words = [...text.matchAll(/^ID(?:_LIKE)?=(.*)$/gm)].flatMap((match) =>
    (match[1] ?? '').replaceAll(/["']/g, '').split(/\s+/),
  );
  const has = (...names: string[]): boolean => names.some((name) => words.includes(name));
  if (has('debian', 'ubuntu')) return 'debian';
  if (has('fedora', 'rhel', 'centos')) return 'fedora';
  if (has('alpine')) return 'alpine';
  if (has('arch', 'archlinux')) return 'arch';
  return 'other';
}

/** The text of a file below /proc or /sys without the final newline. Undefined if the file does not exist. */
export async function readSetting(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}
