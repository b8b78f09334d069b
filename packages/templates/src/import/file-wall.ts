import { existsSync, statSync } from 'node:fs';
import { run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';

/** The files that a confined program may use. Everything else is denied, also to root. */
export interface FileWall {
  /** Files and folders that it may read. */
  readonly reads: readonly string[];
  /** Folders in which it may do everything except run programs. */
  readonly writes: readonly string[];
}

const timeoutMs = 10_000;
/** Programs and their libraries. */
const programs = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc/ld.so.cache'];
const runRights = 'execute,read-file,read-dir';
const readRights = 'read-file,read-dir';
const fileRights = 'read-file';
/** Without `refer`, no file could be linked or moved to another folder. */
const writeRights =
  'write-file,read-file,read-dir,remove-dir,remove-file,make-char,make-dir,make-reg,make-sock,make-fifo,make-block,make-sym,refer,truncate';

const rule = (rights: string, path: string): string[] => ['--landlock-rule', `path-beneath:${rights}:${path}`];

/** Flags of setpriv (util-linux 2.41) that restrict a program to these files by Landlock. Paths that do not exist are left out. */
export function wallFlags({ reads, writes }: FileWall): string[] {
  return [
    ...['--landlock-access', 'fs'],
    ...programs.filter((path) => existsSync(path)).flatMap((path) => rule(isFile(path) ? fileRights : runRights, path)),
    ...reads.filter((path) => existsSync(path)).flatMap((path) => rule(isFile(path) ? fileRights : readRights, path)),
    ...rule('read-file,write-file', '/dev/null'),
    ...writes.flatMap((path) => rule(writeRights, path)),
  ];
}

/** Rights of folders cannot be given for a file. */
const isFile = (path: string): boolean => statSync(path).isFile();

let known: Promise<boolean> | undefined;

/** Whether this host has Landlock and a setpriv that knows it. Asked once; a host without it is logged. */
export async function hasFileWall(logger: Logger): Promise<boolean> {
  known ??= tryWall(logger);
  return await known;
}

async function tryWall(logger: Logger): Promise<boolean> {
  const flags = wallFlags({ reads: ['/etc/passwd'], writes: ['/tmp'] });
  try {
    await run('setpriv', [...flags, '--no-new-privs', '--', 'true'], { timeoutMs });
    return true;
  } catch (err) {
    logger.warn({ err }, 'programs that unpack images can reach all files: this host has no Landlock for setpriv');
    return false;
  }
}
