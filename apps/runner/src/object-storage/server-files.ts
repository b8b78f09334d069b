import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { readCpuType } from '../host/cpu-type.ts';
import type { ServerFiles } from '@soulbox/vault/stored';

/** Files of a data folder that are neither parts of sandboxes nor the control plane's. */
const names = ['runner-keys.json', 'runner-export-key.json', 'dependencies-key.json'];
const folders = ['tls'];
const fileMaxBytes = 256 * 1024;
const filesMax = 50;

/** Reads the keys of the runner and the certificates of the server. */
export async function readServerFiles(dataDirectory: string): Promise<ServerFiles> {
  const inFolders = await Promise.all(
    folders.map(
      async (folder) =>
        (await orMissing(readdir(join(dataDirectory, folder))))?.map((name) => `${folder}/${name}`) ?? [],
    ),
  );
  const files: Record<string, string> = {};
  for (const name of [...names, ...inFolders.flat().sort()].slice(0, filesMax)) {
    const path = join(dataDirectory, name);
    const facts = await orMissing(stat(path));
    if (facts?.isFile() !== true || facts.size > fileMaxBytes || name.endsWith('.tmp')) continue;
    const text = await orMissing(readFile(path, 'utf8'));
    if (text !== undefined) files[name] = text;
  }
  return { format: 1, cpuType: await readCpuType(), files };
}

async function orMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
