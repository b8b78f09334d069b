import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import { cloneCache } from './installation.ts';

/** The path where people and sudo find `soulbox`. */
export const launcherPath = '/usr/local/bin/soulbox';

const mark = '# Made by soulbox setup; soulbox uninstall removes it.';

/** `foreign`: another program has the name. `other-clone`: it is our launcher of another clone that still exists. */
export type LauncherState = 'installed' | 'present' | 'other-clone' | 'foreign';

/**
 * Installs a launcher of this clone, which uses the Node that the clone pins. Leaves a foreign file alone, and the
 * launcher of another existing clone.
 */
export async function installLauncher(repository: string, path = launcherPath): Promise<LauncherState> {
  const text = launcherOf(repository);
  const present = await readLauncher(path);
  if (present === text) return 'present';
  if (present !== undefined) {
    const other = cloneOf(present);
    if (other === undefined) return 'foreign';
    if (await exists(join(other, mainFile))) return 'other-clone';
  }
  await writeFileAtomic(path, text, { mode: 0o755 });
  return 'installed';
}

/** Whether the file at `path` is a launcher that setup installed. */
export async function isOurLauncher(path = launcherPath): Promise<boolean> {
  const present = await readLauncher(path);
  return present !== undefined && cloneOf(present) !== undefined;
}

const mainFile = 'apps/cli/src/main.ts';

function launcherOf(repository: string): string {
  const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
  const [node, main] = [join(repository, 'node_modules/node/bin/node'), join(repository, mainFile)];
  const start = `NODE_COMPILE_CACHE=${quote(join(repository, cloneCache))} exec ${quote(node)} ${quote(main)} "$@"`;
  return `#!/bin/sh\n${mark}\n# clone: ${JSON.stringify(repository)}\n${start}\n`;
}

function cloneOf(text: string): string | undefined {
  const [, line, clone] = text.split('\n');
  if (line !== mark || clone?.startsWith('# clone: ') !== true) return undefined;
  try {
    const path: unknown = JSON.parse(clone.slice('# clone: '.length));
    return typeof path === 'string' ? path : undefined;
  } catch {
    return undefined;
  }
}

async function readLauncher(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
