import { mkdir, mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree } from '@soulbox/base';
import { writeBom } from './package/bom.ts';
import { findFaults } from './package/find-faults.ts';
import { library, makeDebianPackage } from './package/debian-package.ts';
import { packFuse } from './package/fuse-package.ts';
import { readLockedPackages } from './package/locked-packages.ts';
import { packNpm, writeManifests } from './package/npm-package.ts';
import type { Release } from './package/npm-package.ts';
import { packSdk } from './package/sdk-package.ts';
import { stageProgram } from './package/stage-program.ts';
import { git, writeProvenance } from './package/statements.ts';

// `npm run package [-- --version 1.2.3] [--output DIR]`: creates the installable packages from the commit that is
// checked out. The same commit, lock file and Debian give the same bytes; SOURCE_DATE_EPOCH is the commit's time unless
// the environment sets it.
const { values } = parseArgs({ options: { version: { type: 'string' }, output: { type: 'string', default: 'dist' } } });
const root = join(import.meta.dirname, '..');
const output = resolve(root, values.output);
await mkdir(output, { recursive: true });
const work = await mkdtemp(join(tmpdir(), 'soulbox-package-'));
try {
  for (const file of await makePackages(await readRelease())) {
    const { size } = await stat(file);
    console.log(`${basename(file).padEnd(36)} ${(size / 1e6).toFixed(1).padStart(6)} MB`);
  }
} finally {
  await removeTree(work);
}

async function makePackages(release: Release): Promise<string[]> {
  const program = join(work, 'program');
  const staged = await timed('compile', async () => await stageProgram(root, program));
  const { dependencies, bundled } = staged;
  const faults = await timed('check', () => findFaults(program, staged));
  if (faults.length > 0) throw new Error(`What was made is not complete:\n${faults.join('\n')}`);
  const packages = { dependencies, locked: readLockedPackages(root, dependencies) };
  await writeManifests(program, 'npm', release, packages);
  const npm = await timed('npm', async () => await packNpm(program, output, release.version));
  await writeManifests(program, 'debian', release, packages);
  const paths = { program, work: join(work, 'debian'), output };
  const debian = await timed('deb', async () => await makeDebianPackage(root, paths, release, packages.locked));
  const bom = await timed('bom', async () => await writeBom(join(paths.work, library), output, release, bundled));
  const sdk = await timed('sdk', async () => await packSdk(root, work, output, release.version));
  const fuse = await timed('fuse', async () => await packFuse(root, work, output, release.version));
  const made = [npm, debian, sdk, fuse, bom];
  return [...made, await writeProvenance(root, output, release, made)];
}

async function readRelease(): Promise<Release> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: { node: string };
  };
  const epoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? (await git(root, 'log', '-1', '--format=%ct')));
  const version = values.version ?? manifest.version;
  if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`--version ${version}: must be three numbers, such as 1.2.3.`);
  return { version, epoch, nodeVersion: manifest.dependencies.node };
}

async function timed<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await work();
  console.log(`${name.padEnd(8)} ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return result;
}
