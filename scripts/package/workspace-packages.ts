import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

const manifestSchema = z.object({ name: z.string(), exports: z.record(z.string(), z.string()).default({}) });

/** Packages of the workspace, by the names under which others import them. */
export interface WorkspacePackages {
  /** The file of a specifier such as `@soulbox/box/config`, relative to the workspace; undefined for other packages. */
  resolve(specifier: string): string | undefined;
}

export function readWorkspacePackages(root: string): WorkspacePackages {
  const files = new Map<string, string>();
  for (const path of globSync('{apps,packages}/*/package.json', { cwd: root })) {
    const { name, exports } = manifestSchema.parse(JSON.parse(readFileSync(join(root, path), 'utf8')));
    for (const [entry, file] of Object.entries(exports)) files.set(join(name, entry), join(dirname(path), file));
  }
  return {
    resolve(specifier) {
      const file = files.get(specifier);
      if (file === undefined && specifier.startsWith('@soulbox/')) throw new Error(`${specifier} is not exported.`);
      return file;
    },
  };
}
