import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { run } from '@soulbox/base';
import { compileEnvd } from '@soulbox/envd/build';
import { build } from 'esbuild';
import { applyRenames, outputName, readProgramTree } from './program-tree.ts';
import { readWorkspacePackages } from './workspace-packages.ts';

/** The entry points: the file that a shell starts, and the one that this file starts. */
const entries = ['apps/cli/bin/soulbox.mjs', 'apps/cli/src/main.ts'];

/**
 * Programs that the server puts into sandboxes: each becomes one file here, so that a server does not need their
 * libraries.
 */
export const sandboxPrograms = [
  'apps/code-interpreter/src/main.ts',
  'apps/code-interpreter/src/kernels/javascript/child/main.ts',
  'apps/edge-worker/src/main.ts',
  'apps/mcp-gateway/src/main.ts',
];

/** Compiled by Bun into `apps/envd/compiled`. */
const envdCompiler = 'apps/envd/src/bundle/compile.ts';

const texts = ['LICENSE', 'README.md', 'CHANGELOG.md'];

/**
 * Writes SoulBox as plain JavaScript to `target`, in the same folders as in the workspace, without tests. Types are
 * stripped the way Node strips them when it runs a clone: lines and columns of a stack trace are those of the source.
 * Returns the npm packages that it imports.
 */
export async function stageProgram(root: string, target: string): Promise<ReadonlySet<string>> {
  const packages = readWorkspacePackages(root);
  const tree = readProgramTree(root, { entries, standalone: [...sandboxPrograms, envdCompiler], packages });
  for (const [path, file] of tree.sources) {
    const text = applyRenames(file);
    const output = join(target, outputName(path));
    await mkdir(dirname(output), { recursive: true });
    await writeFile(output, path.endsWith('.ts') ? stripTypeScriptTypes(text) : text);
    await chmod(output, path.includes('/bin/') ? 0o755 : 0o644);
  }
  for (const path of [...tree.assets, ...texts, ...(await listDocuments(root))]) await copyInto(root, target, path);
  for (const path of sandboxPrograms) await bundle(root, path, join(target, outputName(path)));
  await shipEnvd(join(target, 'apps/envd/compiled'));
  return tree.dependencies;
}

/** The server shows the pages of docs/. Pages only for developers are linked from there, and are not included. */
async function listDocuments(root: string): Promise<string[]> {
  return (await run('git', ['-C', root, 'ls-files', ':(glob)docs/*.md'])).split('\n').filter((path) => path !== '');
}

async function copyInto(root: string, target: string, path: string): Promise<void> {
  const output = join(target, path);
  await mkdir(dirname(output), { recursive: true });
  await copyFile(join(root, path), output);
  const { mode } = await stat(join(root, path));
  await chmod(output, (mode & 0o100) === 0 ? 0o644 : 0o755);
}

async function bundle(root: string, entry: string, outfile: string): Promise<void> {
  const options = { bundle: true, format: 'esm', platform: 'node', target: 'node20', legalComments: 'inline' } as const;
  await build({ absWorkingDir: root, entryPoints: [entry], outfile, ...options, logLevel: 'silent' });
}

/** `digest` identifies the compiled sources; build-bundle.ts reads it. */
async function shipEnvd(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await compileEnvd(folder);
  const hash = createHash('sha256');
  for (const name of ['envd', 'node.cjs']) hash.update(await readFile(join(folder, name)));
  await writeFile(join(folder, 'digest'), hash.digest('hex'));
}
