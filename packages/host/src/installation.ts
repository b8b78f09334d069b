import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `clone`: TypeScript of a Git repository. `npm`, `debian`: a package that `npm run package` has made, plain JavaScript in the same folders. */
export type InstallationForm = 'clone' | 'npm' | 'debian';

export interface Installation {
  readonly form: InstallationForm;
  /** The folder with `apps`, `packages` and `docs`. Only a clone may be written to. */
  readonly root: string;
  readonly version: string;
}

/** How the code that runs has come here, by the package.json at its root. Loaded by every command, so it loads nothing itself. */
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
 * Where Node keeps compiled code of ours from one start to the next, which halves the time to load. Never in /tmp, where another user could
 * prepare it for root.
 */
export function compileCacheFolder(): string {
  const { form, root } = readInstallation();
  return form === 'clone' ? join(root, 'node_modules/.cache/node-compile') : '/var/cache/soulbox/node-compile';
}
