import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { run } from '@soulbox/base';
import { compileEnvd } from '@soulbox/envd/build';
import { build } from 'esbuild';
import { formatLicenceTexts, licenceTexts } from './licence-texts.ts';
import { applyRenames, outputName, readProgramTree } from './program-tree.ts';
import { findBundledPackages } from './third-party.ts';
import type { BundledPackage } from './third-party.ts';
import { readWorkspacePackages } from './workspace-packages.ts';

/** The entry points: the file that a shell starts, the one that this file starts, and the one that systemd starts. */
const entries = ['apps/cli/bin/soulbox.mjs', 'apps/cli/src/main.ts', 'packages/process/src/unit.ts'];

/**
 * Programs that the server puts into sandboxes: each becomes one file here, so that a server does not need their
 * libraries.
 */
export const sandboxPrograms = [
  'apps/code-interpreter/src/main.ts',
  'apps/code-interpreter/src/kernels/javascript/child/main.ts',
  'apps/edge-worker/src/main.ts',
  'apps/sftp-server/src/main.ts',
  'apps/sftp-server/src/remote-listener.ts',
  'apps/mcp-gateway/src/main.ts',
];

/** Compiled by Bun into `apps/envd/compiled`. */
const envdCompiler = 'apps/envd/src/bundle/compile.ts';
const compiledEnvd = 'apps/envd/compiled';

const texts = ['LICENSE', 'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];

export interface StagedProgram {
  /** npm packages that it imports. */
  readonly dependencies: ReadonlySet<string>;
  /** npm packages whose code is part of its files. */
  readonly bundled: readonly BundledPackage[];
  /** Documents. */
  readonly pages: readonly string[];
}

/**
 * Writes SoulBox as plain JavaScript to `target`, in the same folders as in the workspace, without tests. Types are
 * stripped the way Node strips them when it runs a clone: lines and columns of a stack trace are those of the source.
 */
export async function stageProgram(root: string, target: string): Promise<StagedProgram> {
  const packages = readWorkspacePackages(root);
  const tree = readProgramTree(root, { entries, standalone: [...sandboxPrograms, envdCompiler], packages });
  for (const [path, file] of tree.sources) {
    const text = applyRenames(file);
    const output = join(target, outputName(path));
    await mkdir(dirname(output), { recursive: true });
    await writeFile(output, path.endsWith('.ts') ? stripTypeScriptTypes(text) : text);
    await chmod(output, path.includes('/bin/') ? 0o755 : 0o644);
  }
  for (const path of tree.assets) await copyInto(root, target, path);
  const pages = await stageDocuments(root, target);
  const bundled = await bundlePrograms(root, target);
  await writeFile(join(target, licenceTexts), formatLicenceTexts(bundled));
  return { dependencies: tree.dependencies, bundled, pages };
}

/** Returns the npm packages whose code is in the bundles. Bun itself is in envd. */
export async function bundlePrograms(root: string, target: string): Promise<readonly BundledPackage[]> {
  const sources = new Map<string, readonly string[]>();
  for (const path of sandboxPrograms) {
    const output = outputName(path);
    sources.set(output, await bundle(root, path, join(target, output)));
  }
  const envd = await shipEnvd(join(target, compiledEnvd));
  sources.set(compiledEnvd, [...envd, join(root, 'node_modules/bun/package.json')]);
  return findBundledPackages(sources);
}

/** Writes docs/, which the server shows in part, and the texts beside it. Returns the pages that may contain links. */
export async function stageDocuments(root: string, target: string): Promise<readonly string[]> {
  const listed = await run('git', ['-C', root, 'ls-files', ':(glob)docs/**/*.md', 'docs/*.svg']);
  const documents = [...texts, ...listed.split('\n').filter((path) => path !== '')];
  for (const path of documents) await copyInto(root, target, path);
  return documents.filter((path) => path.endsWith('.md'));
}

async function copyInto(root: string, target: string, path: string): Promise<void> {
  const output = join(target, path);
  await mkdir(dirname(output), { recursive: true });
  await copyFile(join(root, path), output);
  const { mode } = await stat(join(root, path));
  await chmod(output, (mode & 0o100) === 0 ? 0o644 : 0o755);
}

/** Returns the paths of the files of which something is left in the bundle. */
async function bundle(root: string, entry: string, outfile: string): Promise<readonly string[]> {
  const options = { bundle: true, format: 'esm', platform: 'node', target: 'node20', legalComments: 'inline' } as const;
  const { metafile } = await build({
    ...{ absWorkingDir: root, entryPoints: [entry], outfile, ...options, logLevel: 'silent' },
    metafile: true,
  });
  return Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => join(root, path));
}

/** `digest` identifies the compiled sources; build-bundle.ts reads it. Returns the paths of all sources. */
async function shipEnvd(folder: string): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const sources = await compileEnvd(folder);
  const hash = createHash('sha256');
  for (const name of ['envd', 'node.cjs']) hash.update(await readFile(join(folder, name)));
  await writeFile(join(folder, 'digest'), hash.digest('hex'));
  return sources;
}
