import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorFromNode, isNodeError, removeTree, run } from '@soulbox/base';
import type { EnvdBundle } from '@soulbox/isolation';
import { sudoMode } from '../src/config.ts';
import { findLoader, parseLddOutput } from './shared-libraries.ts';

/** The path at which the folder is mounted in every sandbox. */
const mountPoint = '/.soulbox';
/** Bundling and compiling takes about 2 s. On a busy machine, ten times that is still normal. */
const compileTimeoutMs = 120_000;

/**
 * For 30 s after the last activity, Bun collects all garbage once a second: 15 to 28 ms of CPU each time, by which a
 * sandbox does not look idle. What JavaScriptCore collects by itself, and envd after many bytes, is enough: after the
 * same work, envd had as much memory and had used three quarters of the CPU.
 */
const withoutTimer = 'BUN_GC_TIMER_DISABLE=1';

/**
 * Options of JavaScriptCore: its two compilers begin after 100 and 30 times as many runs as by default. Code that runs
 * once at the start is then not compiled. That saves 15 percent of the CPU time from exec to the first answer, 4 MiB of
 * memory, and a quarter of the CPU time of each of the first 30 commands. After 300 commands there is no difference.
 */
const environment = [
  withoutTimer,
  'BUN_JSC_thresholdForJITAfterWarmUp=50000',
  'BUN_JSC_thresholdForJITSoon=10000',
  'BUN_JSC_thresholdForOptimizeAfterWarmUp=30000',
  'BUN_JSC_thresholdForOptimizeSoon=30000',
  'BUN_JSC_thresholdForOptimizeAfterLongWarmUp=60000',
];

/** The name is a content hash. A build in progress has a dot in front. */
const runtimeName = /^[0-9a-f]{24}$/;

const envdDirectory = fileURLToPath(new URL('..', import.meta.url));
/**
 * In a SoulBox package: the output of `compileEnvd`, so that a server needs no compiler, and the file `digest`, which
 * identifies it.
 */
const shippedDirectory = join(envdDirectory, 'compiled');
const workspaceDirectory = fileURLToPath(new URL('../../..', import.meta.url));
/** All sources of the compiled program, except the locked npm packages. */
const sourceDirectories = [
  join(envdDirectory, 'src'),
  join(envdDirectory, 'build'),
  join(workspaceDirectory, 'packages/base/src'),
  join(workspaceDirectory, 'packages/contract/src'),
];

/**
 * Builds the read-only folder that all sandboxes share: the compiled envd, the dynamic loader and the libraries of the
 * host, so that envd runs in any root file system. The folder is `parentDirectory/<content hash>`. A second call with
 * unchanged sources finds it and returns in about 35 ms. Throws CommandError if compiling fails.
 */
export async function buildEnvdBundle(parentDirectory: string): Promise<EnvdBundle> {
  const shipped = await readShippedDigest();
  // Both need the same libraries, because envd is Bun with our code appended.
  const program = shipped === undefined ? findBun() : join(shippedDirectory, 'envd');
  const libraries = parseLddOutput(await run('ldd', [program]));
  const hash = createHash('sha256');
  if (shipped === undefined) await hashSources(hash);
  else hash.update(shipped);
  await hashFacts(hash, shipped === undefined ? [program, ...libraries] : libraries);
  const directory = join(parentDirectory, hash.digest('hex').slice(0, 24));
  const compile = shipped === undefined ? compileEnvd : copyShipped;
  const loader = (await isDirectory(directory))
    ? findLoader(await readdir(directory))
    : await build(directory, libraries, compile);
  return {
    directory,
    mountPoint,
    command: [`${mountPoint}/${loader}`, '--library-path', mountPoint, `${mountPoint}/envd`],
    environment,
    forOwnKernel: ['ENVD_OWN_KERNEL=1'],
  };
}

/**
 * Removes the folders of earlier versions, 112 MB each, except those that a sandbox still uses. Returns the number of
 * removed folders.
 */
export async function removeOldBundles(parentDirectory: string, inUse: ReadonlySet<string>): Promise<number> {
  const old = (await readdir(parentDirectory, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && runtimeName.test(entry.name))
    .map((entry) => join(parentDirectory, entry.name))
    .filter((directory) => !inUse.has(directory));
  for (const directory of old) await removeTree(directory);
  return old.length;
}

/**
 * Builds next to `directory` and renames into place, so a reader sees a complete folder or none. Returns the loader's
 * name.
 */
async function build(
  directory: string,
  libraries: readonly string[],
  compile: (directory: string) => Promise<unknown>,
): Promise<string> {
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true });
  const temporary = await mkdtemp(join(parent, '.building-'));
  try {
    await compile(temporary);
    for (const path of libraries) await copyFile(path, join(temporary, basename(path)));
    const loader = findLoader(libraries.map((path) => basename(path)));
    await writeFile(join(temporary, 'sudo'), sudoScript(loader));
    // The sandboxes' mapped users can read the files; nobody can write them.
    for (const name of await readdir(temporary))
      await chmod(join(temporary, name), ['envd', 'sudo', loader].includes(name) ? 0o755 : 0o644);
    await arrangePreloads(temporary);
    await chmod(temporary, 0o755);
    await rename(temporary, directory);
    return loader;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another process was faster. Its folder has the same content.
    if (isNodeError(error) && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST'))
      return findLoader(await readdir(directory));
    throw error;
  }
}

/**
 * Replaces `sudo` where the kernel ignores setuid bits. It runs envd's program in another role, without privileges of
 * its own.
 */
function sudoScript(loader: string): string {
  return `#!/bin/sh\nexec ${mountPoint}/${loader} --library-path ${mountPoint} ${mountPoint}/envd ${sudoMode} "$@"\n`;
}

/**
 * Moves the files that tenants' programs may load to the paths in docs/fork.md. Python finds its file by name, so it
 * has a folder of its own.
 */
async function arrangePreloads(directory: string): Promise<void> {
  const [reseed, python] = [join(directory, 'reseed'), join(directory, 'reseed/python')];
  for (const folder of [reseed, python]) {
    await mkdir(folder);
    await chmod(folder, 0o755);
  }
  await rename(join(directory, 'node.cjs'), join(reseed, 'node.cjs'));
  const customization = join(python, 'sitecustomize.py');
  await copyFile(join(envdDirectory, 'src/reseed/sitecustomize.py'), customization);
  await chmod(customization, 0o644);
}

/** Creates `directory`/envd and `directory`/node.cjs with Bun. Returns the paths of all sources, libraries included. */
export async function compileEnvd(directory: string): Promise<readonly string[]> {
  const output = await run(findBun(), [join(envdDirectory, 'src/bundle/compile.ts'), directory], {
    timeoutMs: compileTimeoutMs,
    // Bun writes the program there first, under another name.
    cwd: directory,
  });
  return JSON.parse(output) as string[];
}

async function copyShipped(directory: string): Promise<void> {
  for (const name of ['envd', 'node.cjs']) await copyFile(join(shippedDirectory, name), join(directory, name));
}

/** Undefined in a clone, where envd is compiled at the first start. */
async function readShippedDigest(): Promise<string | undefined> {
  try {
    return await readFile(join(shippedDirectory, 'digest'), 'utf8');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw errorFromNode(error, `${shippedDirectory} cannot be read.`);
  }
}

/** The binary inside the npm package `bun`. Its install script hard-links it there. */
function findBun(): string {
  const manifest = createRequire(import.meta.url).resolve('bun/package.json');
  return join(dirname(manifest), 'bin/bun.exe');
}

/** Hashes all sources and the locked dependencies. */
async function hashSources(hash: Hash): Promise<void> {
  for (const directory of sourceDirectories) {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'));
    for (const path of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
      // Synchronously: waiting for each of 300 small files took 0.2 s of every start of a server.
      hash.update(`${relative(workspaceDirectory, path)}\0`).update(readFileSync(path));
    }
  }
  hash.update(await readFile(join(workspaceDirectory, 'package-lock.json')));
}

/** Hashes size and time of the compiler and the host's C library, which are too large to read at each start. */
async function hashFacts(hash: Hash, files: readonly string[]): Promise<void> {
  for (const path of files) {
    const { size, mtimeMs } = await stat(path);
    hash.update(`${path}\0${size}\0${mtimeMs}\0`);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw errorFromNode(error, `${path} cannot be read.`);
  }
}
