import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** `clone`: TypeScript of a Git repository. `npm`, `debian`: a package that `npm run package` has made, plain JavaScript in the same folders. */
export type InstallationForm = 'clone' | 'npm' | 'debian';

export interface Installation {
  readonly form: InstallationForm;
  /** The folder with `apps`, `packages` and `docs`. Only a clone may be written to. */
  readonly root: string;
  readonly version: string;
}

const manifestSchema = z.object({
  version: z.string(),
  soulbox: z.object({ installation: z.enum(['npm', 'debian']) }).optional(),
});

/** How the code that runs has come here, by the package.json at its root. */
export function readInstallation(root = join(import.meta.dirname, '../../..')): Installation {
  const { version, soulbox } = manifestSchema.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  return { form: soulbox?.installation ?? 'clone', root, version };
}
