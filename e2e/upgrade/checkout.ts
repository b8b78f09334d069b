import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { makeTestDirectory } from '@soulbox/testing';

const repository = join(import.meta.dirname, '../..');
const installTimeoutMs = 600_000;

/** Another version of this repository, with its npm packages. */
export interface Checkout extends AsyncDisposable {
  readonly commit: string;
  readonly root: string;
}

/**
 * Creates a worktree of a commit beside the tests' data. Throws git's message if this clone does not have the commit.
 */
export async function checkOut(reference: string): Promise<Checkout> {
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', args, { cwd: repository, timeoutMs: 60_000 })).trim();
  const commit = await git('rev-parse', '--verify', '--short', `${reference}^{commit}`);
  const parent = await makeTestDirectory('upgrade-');
  const root = join(parent, 'clone');
  await using made = new AsyncDisposableStack();
  made.defer(async () => await removeTree(parent));
  await git('worktree', 'add', '--detach', root, commit);
  made.defer(async () => {
    await git('worktree', 'remove', '--force', root);
  });
  await installPackages(root);
  const owned = made.move();
  return { commit, root, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

/** Versions with the same locked packages share them, because an installation takes half a minute. */
async function installPackages(root: string): Promise<void> {
  const lockOf = async (folder: string): Promise<string> =>
    await readFile(join(folder, 'package-lock.json'), 'utf8').catch(() => '');
  if ((await lockOf(root)) === (await lockOf(repository)))
    await cp(join(repository, 'node_modules'), join(root, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, timeoutMs: installTimeoutMs });
}
