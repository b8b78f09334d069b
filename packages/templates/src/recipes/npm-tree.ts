import { chmod, copyFile, mkdir, rename, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeTree } from '@soulbox/base';
import { runNpm } from '../debian/npm.ts';
import type { NpmTree } from './recipe.ts';

/** A slow connection may need many times the half minute of a near registry. */
const timeoutMs = 20 * 60_000;

/**
 * Installs the packages of one of our lock files with the host's npm, and thus with its registry and proxy. No script
 * of a package runs on the host, and each package must match the lock file's digest.
 */
export async function installNpmTree(tree: NpmTree, rootfs: string, directory: string): Promise<void> {
  const scratch = join(directory, 'npm-tree');
  await mkdir(scratch, { mode: 0o755 });
  for (const name of ['package.json', 'package-lock.json'])
    await copyFile(join(fileURLToPath(tree.lock), name), join(scratch, name));
  const flags = ['--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund', '--workspaces=false', '--no-bin-links'];
  await runNpm(['ci', ...flags], { cwd: scratch, timeoutMs });
  const target = join(rootfs, tree.target);
  await mkdir(target, { recursive: true });
  for (const name of ['package.json', 'node_modules']) await rename(join(scratch, name), join(target, name));
  await removeTree(scratch);
  for (const [path, file] of Object.entries(tree.links ?? {})) {
    await chmod(join(target, file), 0o755);
    await mkdir(join(rootfs, dirname(path)), { recursive: true });
    await symlink(relative(dirname(path), join(tree.target, file)), join(rootfs, path));
  }
}
