import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { run } from '@soulbox/base';
import { build } from 'esbuild';
import { formatLicenceTexts, licenceTexts } from './licence-texts.ts';
import { findBundledPackages } from './third-party.ts';

const folder = 'packages/sdk';
const texts = ['README.md', 'llms.txt'];
/** Modules of the workspace whose types are part of the SDK's. */
const foreignTypes: Readonly<Record<string, { readonly name: string; readonly source: string }>> = {
  '@soulbox/contract/rest': { name: 'rest.d.ts', source: 'packages/contract/src/gen/rest/openapi.d.ts' },
};

/** Makes the npm package of the SDK: one file of JavaScript with everything it needs, and its types. */
export async function packSdk(root: string, work: string, output: string, version: string): Promise<string> {
  const target = join(work, 'sdk');
  await mkdir(join(target, 'dist'), { recursive: true });
  const sources = await bundleSdk(root, join(target, 'dist/index.js'));
  const nodeSources = await bundleNodePart(root, join(target, 'dist/node.js'));
  const bundled = findBundledPackages(
    new Map([
      ['dist/index.js', sources],
      ['dist/node.js', nodeSources],
    ]),
  );
  await writeFile(join(target, licenceTexts), formatLicenceTexts(bundled));
  await writeTypes(root, join(work, 'types'), join(target, 'dist/types'));
  for (const name of texts) await copyFile(join(root, folder, name), join(target, name));
  await copyFile(join(root, 'LICENSE'), join(target, 'LICENSE'));
  await writeFile(join(target, 'package.json'), `${JSON.stringify(manifest(version), undefined, 2)}\n`);
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', output];
  await run('npm', args, { cwd: target, timeoutMs: 60_000 });
  return join(output, `soulbox-${version}.tgz`);
}

function manifest(version: string): object {
  return {
    name: 'soulbox',
    version,
    description: 'Client of SoulBox: self-hosted sandboxes for AI agents',
    license: 'Apache-2.0',
    keywords: ['sandbox', 'agent', 'ai', 'e2b', 'code-interpreter', 'self-hosted'],
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20.3' },
    exports: {
      '.': { types: './dist/types/index.d.ts', default: './dist/index.js' },
      './node': { types: './dist/types/node.d.ts', default: './dist/node.js' },
      './package.json': './package.json',
    },
    files: ['dist', ...texts, licenceTexts],
  };
}

/** Fails for every module of Node: the same file runs in browsers. Returns the paths of all sources. */
export async function bundleSdk(root: string, outfile: string): Promise<readonly string[]> {
  return await bundle(root, { entry: 'index.ts', outfile, platform: 'browser' });
}

/** What reads files: for Node.js, Bun and Deno. It shares no code with the other part. */
async function bundleNodePart(root: string, outfile: string): Promise<readonly string[]> {
  return await bundle(root, { entry: 'node.ts', outfile, platform: 'node' });
}

interface Part {
  readonly entry: string;
  readonly outfile: string;
  readonly platform: 'browser' | 'node';
}

async function bundle(root: string, { entry, outfile, platform }: Part): Promise<readonly string[]> {
  const { metafile } = await build({
    ...{ absWorkingDir: root, entryPoints: [join(folder, 'src', entry)], outfile, bundle: true, format: 'esm' },
    ...{ platform, target: 'es2022', legalComments: 'none', logLevel: 'silent', metafile: true },
    conditions: ['soulbox-source'],
  });
  return Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => join(root, path));
}

/** Only what the entry point reaches, without what is marked `@internal`. */
async function writeTypes(root: string, work: string, target: string): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', join(root, folder), '--outDir', work], { cwd: root, timeoutMs: 120_000 });
  const source = join(work, folder, 'src');
  const queue = ['index.d.ts', 'node.d.ts'];
  for (const path of queue) {
    const output = join(target, path);
    await mkdir(dirname(output), { recursive: true });
    const text = await readFile(join(source, path), 'utf8');
    await writeFile(
      output,
      text.replaceAll(/(from |import\()'([^']+)'/g, (_whole, before: string, specifier: string) => {
        return `${before}'${resolve(path, specifier)}'`;
      }),
    );
  }
  for (const { name, source: file } of Object.values(foreignTypes))
    await copyFile(join(root, file), join(target, name));

  function resolve(path: string, specifier: string): string {
    const foreign = foreignTypes[specifier];
    if (foreign !== undefined) {
      const way = relative(dirname(path), foreign.name.replace(/\.d\.ts$/, '.js'));
      return way.startsWith('.') ? way : `./${way}`;
    }
    if (!specifier.startsWith('.')) throw new Error(`The types of the SDK need ${specifier}, in ${path}.`);
    const next = join(dirname(path), specifier).replace(/\.ts$/, '.d.ts');
    if (!queue.includes(next)) queue.push(next);
    return specifier.replace(/\.ts$/, '.js');
  }
}
