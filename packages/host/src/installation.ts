import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * `clone`: TypeScript in a Git repository. `npm`, `debian`: a package made by `npm run package`, plain JavaScript in
 * the same folders.
 */
export type InstallationForm = 'clone' | 'npm' | 'debian';

export interface Installation {
  readonly form: InstallationForm;
  /** The folder with `apps`, `packages` and `docs`. Only a clone may be modified. */
  readonly root: string;
  readonly version: string;
}

/**
 * How the running code was installed, according to the package.json at its root. Every command loads this module, so it
 * loads no other module of ours.
 */
export function readInstallation(root = join(import.meta.dirname, '../../..')): Installation {
  const file = join(root, 'package.json');
  const { version, soulbox } = JSON.parse(readFileSync(file, 'utf8')) as {
    version: string;
    soulbox?: { installation: string };
  };
  const form = soulbox?.installation ?? 'clone';
  if (form !== 'clone' && form !== 'npm' && form !== 'debian')
    throw new Error(`${file}: unknown installation ${form}.`);
  return { form, root, version };
}

/**
 * The folder in which Node caches our compiled code between starts, which halves the load time. It is never in /tmp,
 * where another user could prepare it for root. Users other than root have one of their own: Node never shares one.
 */
export function compileCacheFolder(
  { form, root }: Pick<Installation, 'form' | 'root'> = readInstallation(),
  isRoot = process.getuid?.() === 0,
): string {
  if (form === 'clone') return join(root, cloneCache);
  return isRoot ? '/var/cache/soulbox/node-compile' : join(homedir(), '.cache/soulbox/node-compile');
}

/** The launchers of a clone name it, too, because Node would load the compiler of TypeScript for the first file. */
export const cloneCache = 'node_modules/.cache/node-compile';
