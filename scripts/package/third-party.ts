import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const typeSchema = z.union([z.string(), z.object({ type: z.string() }).transform(({ type }) => type)]);
const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: typeSchema.optional(),
  /** The older form of `license`. */
  licenses: z.array(typeSchema).optional(),
  repository: z.union([z.string(), z.object({ url: z.string() }).transform(({ url }) => url)]).optional(),
});

/** An npm package whose code is in one of ours. */
export interface ThirdParty {
  readonly name: string;
  readonly version: string;
  /** As its package.json says it: normally an SPDX expression. */
  readonly license: string | undefined;
  readonly repository: string | undefined;
  /** The place of the package on this machine. */
  readonly folder: string;
}

export interface BundledPackage extends ThirdParty {
  /** The files of our package that contain its code. */
  readonly within: readonly string[];
}

/** The packages of npm that the sources of `bundles` belong to, once for each version. */
export function findBundledPackages(bundles: ReadonlyMap<string, Iterable<string>>): readonly BundledPackage[] {
  const found = new Map<string, BundledPackage>();
  for (const [bundle, sources] of bundles) {
    for (const folder of new Set([...sources].flatMap(packageFolderOf))) {
      const each = readThirdParty(folder);
      const key = `${each.name}@${each.version}`;
      found.set(key, { ...each, within: [...new Set([...(found.get(key)?.within ?? []), bundle])] });
    }
  }
  return [...found].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, each]) => each);
}

/** All packages below a folder `node_modules`, including those inside other packages. */
export function listPackages(nodeModules: string): readonly ThirdParty[] {
  if (!existsSync(nodeModules)) return [];
  const names = readdirSync(nodeModules).filter((name) => !name.startsWith('.'));
  const folders = names.flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(nodeModules, name)).map((part) => join(name, part)) : [name],
  );
  return folders
    .map((name) => join(nodeModules, name))
    .flatMap((folder) => [readThirdParty(folder), ...listPackages(join(folder, 'node_modules'))]);
}

function packageFolderOf(source: string): string[] {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(source)?.slice(0, 1) ?? [];
}

function readThirdParty(folder: string): ThirdParty {
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
  const { name, version, repository, licenses } = manifest;
  return { name, version, license: manifest.license ?? licenses?.join(' OR '), repository, folder };
}
