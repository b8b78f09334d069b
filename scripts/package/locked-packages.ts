import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const dependencies = z.record(z.string(), z.string()).default({});
const entrySchema = z.looseObject({
  version: z.string().optional(),
  link: z.boolean().optional(),
  dependencies,
  optionalDependencies: dependencies,
  peerDependencies: dependencies,
  peerDependenciesMeta: z.record(z.string(), z.object({ optional: z.boolean().optional() })).default({}),
});
const lockSchema = z.object({ packages: z.record(z.string(), z.unknown()) });

/** The entry of one package in package-lock.json: kept unchanged, for the lock file of the result. */
export type LockedPackage = Readonly<Record<string, unknown>> & { readonly version: string };

/** Packages by their path, such as `node_modules/zod`. */
export type LockedPackages = ReadonlyMap<string, LockedPackage>;

/**
 * These packages and all their dependencies, in the versions and paths of the lock file. Throws if one is not locked.
 */
export function readLockedPackages(root: string, names: Iterable<string>): LockedPackages {
  const { packages } = lockSchema.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  const found = new Map<string, LockedPackage>();
  const pending: string[] = [];
  const need = (from: string, name: string, isOptional: boolean): void => {
    const place = findPlace(packages, from, name);
    if (place === undefined && isOptional) return;
    if (place === undefined) throw new Error(`package-lock.json has no ${name}, which ${from || 'SoulBox'} needs.`);
    if (!found.has(place)) pending.push(place);
    const { dev: _dev, devOptional: _devOptional, ...entry } = packages[place] as LockedPackage & { dev?: boolean };
    found.set(place, entry);
  };

  for (const name of names) {
    refuseSecondVersion(packages, name);
    need('', name, false);
  }
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    const entry = entrySchema.parse(packages[place]);
    for (const name of Object.keys(entry.dependencies)) need(place, name, name in entry.optionalDependencies);
    for (const name of Object.keys(entry.optionalDependencies)) need(place, name, true);
    for (const name of Object.keys(entry.peerDependencies))
      need(place, name, entry.peerDependenciesMeta[name]?.optional === true);
  }
  return new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The same lookup as Node's: beside the importing package, then further out. */
function findPlace(packages: Readonly<Record<string, unknown>>, from: string, name: string): string | undefined {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    const place = base === '' ? `node_modules/${name}` : `${base}/node_modules/${name}`;
    if (packages[place] !== undefined) return place;
    if (base === '') return undefined;
  }
}

/** In the result, all our packages share one node_modules. */
function refuseSecondVersion(packages: Readonly<Record<string, unknown>>, name: string): void {
  const second = Object.keys(packages).find((place) =>
    new RegExp(`^(apps|packages)/[^/]+/node_modules/${name}$`).test(place),
  );
  if (second !== undefined) throw new Error(`${name} is locked in two versions, the second in ${second}.`);
}
