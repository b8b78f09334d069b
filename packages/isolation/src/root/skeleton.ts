import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import { diskFolders } from './layout.ts';
import type { ownFiles } from './own-files.ts';

/**
 * Mode by folder, parents first. They are set explicitly, because `mkdir` alone would apply the process's umask.
 * /dev/shm is a folder of the root, so that its files belong to the disk like any others (docs/decisions/009).
 */
const folderModes = {
  [diskFolders.upper]: 0o755,
  [`${diskFolders.upper}/dev`]: 0o755,
  [`${diskFolders.upper}/dev/shm`]: 0o1777,
  [diskFolders.work]: 0o700,
  [diskFolders.empty]: 0o555,
  [diskFolders.etc]: 0o755,
  [diskFolders.run]: 0o755,
} as const;

/**
 * Writes the first content of the sandbox's disk; owners are 0, which inside is the sandbox's root. Synchronous: forty
 * tiny calls take half a millisecond this way, and several milliseconds if each uses another thread.
 */
export function writeSkeleton(directory: string, spec: SandboxSpec): void {
  mkdirSync(directory, { mode: 0o700 });
  for (const [name, mode] of Object.entries(folderModes)) {
    mkdirSync(join(directory, name));
    chmodSync(join(directory, name), mode);
  }
  for (const [name, content] of Object.entries(ownFileContents(spec)))
    writeWithMode(join(directory, diskFolders.etc, name), content, 0o644);
  const run = join(directory, diskFolders.run);
  writeWithMode(join(run, 'generation'), `${spec.generation}\n`, 0o644);
  writeWithMode(join(run, 'host-token'), spec.hostToken.reveal(), 0o600);
}

function writeWithMode(path: string, content: string, mode: number): void {
  writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  chmodSync(path, mode);
}

function ownFileContents(spec: SandboxSpec): Record<keyof typeof ownFiles, string> {
  return {
    'resolv.conf': spec.nameServers.map((server) => `nameserver ${server}\n`).join(''),
    // sudo looks up its own host name and would wait for a name server that may not answer.
    hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t${spec.hostname}\n`,
    hostname: `${spec.hostname}\n`,
    'machine-id': `${randomBytes(16).toString('hex')}\n`,
    'boot-id': `${randomUUID()}\n`,
  };
}
