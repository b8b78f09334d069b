import { copyFile, glob, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';

const folder = 'packages/fuse';

/** Makes the npm package `@soulbox/fuse`: its files as JavaScript, and their types. It needs no other package. */
export async function packFuse(root: string, work: string, output: string, version: string): Promise<string> {
  const target = join(work, 'fuse');
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', join(root, folder), '--outDir', join(target, 'dist')];
  await run(process.execPath, args, { cwd: root, timeoutMs: 120_000 });
  // The compiler renames what JavaScript imports, but not what types import.
  for await (const path of glob(join(target, 'dist/**/*.d.ts'))) {
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replaceAll(/(from |import\()'(\.[^']+)\.ts'/g, "$1'$2.js'"));
  }
  await copyFile(join(root, folder, 'README.md'), join(target, 'README.md'));
  await copyFile(join(root, 'LICENSE'), join(target, 'LICENSE'));
  await writeFile(join(target, 'package.json'), `${JSON.stringify(manifest(version), undefined, 2)}\n`);
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', output];
  await run('npm', pack, { cwd: target, timeoutMs: 60_000 });
  return join(output, `soulbox-fuse-${version}.tgz`);
}

function manifest(version: string): object {
  return {
    name: '@soulbox/fuse',
    version,
    description: 'File systems in TypeScript on /dev/fuse, without a native addon',
    license: 'Apache-2.0',
    keywords: ['fuse', 'filesystem', 'linux', 'mount'],
    type: 'module',
    sideEffects: false,
    os: ['linux'],
    engines: { node: '>=22' },
    exports: {
      '.': { types: './dist/index.d.ts', default: './dist/index.js' },
      './package.json': './package.json',
    },
    files: ['dist', 'README.md'],
  };
}
