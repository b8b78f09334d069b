import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { testDirectory } from '@soulbox/testing';
import type { ClientPackage } from './packages.ts';

/** Kept between runs, because a hundred versions take a minute to download. */
const cacheDirectory = join(testDirectory, 'clients');
const npmMs = 900_000;

/** The versions that are run: stable ones from 1.0.0 on, oldest first, or the newest. */
export async function listVersions({ name, versions }: ClientPackage): Promise<string[]> {
  if (versions === 'newest') return [await view(name, 'version')].flat();
  // npm gives a bare string when there is only one.
  const published = [await view(name, 'versions')].flat();
  return published.filter((version) => /^[1-9]\d*\.\d+\.\d+$/.test(version)).toSorted(compareVersions);
}

async function view(name: string, field: string): Promise<string | string[]> {
  return JSON.parse(await run('npm', ['view', name, field, '--json'], { timeoutMs: npmMs })) as string | string[];
}

/** A version that `installClients` has installed. */
export interface InstalledClient {
  readonly client: ClientPackage;
  readonly version: string;
  /** The folder of a project that has the version as its dependency `aliasOf(version)` and contains the scenarios. */
  readonly directory: string;
}

export const aliasOf = (version: string): string => `v${version}`;

/** Installs versions of a package side by side, each with its own dependencies. Install scripts do not run. */
export async function installClients(client: ClientPackage, versions: readonly string[]): Promise<InstalledClient[]> {
  const directory = join(cacheDirectory, `${client.name.replace('/', '+')}-${versions.length}`);
  const aliases = versions.map((version) => [aliasOf(version), `npm:${client.name}@${version}`]);
  await install(directory, { ...Object.fromEntries(aliases), ...client.besides } as Record<string, string>);
  await cp(join(import.meta.dirname, 'scenarios'), directory, { recursive: true });
  return versions.map((version) => ({ client, version, directory }));
}

async function install(directory: string, dependencies: Readonly<Record<string, string>>): Promise<void> {
  const wanted = JSON.stringify({ private: true, dependencies }, undefined, 2);
  const doneFile = join(directory, 'installed.json');
  if ((await readFile(doneFile, 'utf8').catch(() => '')) === wanted) return;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'package.json'), wanted);
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  await run('npm', ['install', ...options], { cwd: directory, timeoutMs: npmMs });
  await writeFile(doneFile, wanted);
}

export function compareVersions(one: string, other: string): number {
  const [left = [], right = []] = [one, other].map((version) => version.split('.').map(Number));
  return left.map((part, index) => part - (right[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}
