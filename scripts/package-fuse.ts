import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree } from '@soulbox/base';
import { packFuse } from './package/fuse-package.ts';

// `npm run package:fuse [-- --output DIR]`: makes the npm package `@soulbox/fuse` alone. `npm run package` makes it, too.
const { values } = parseArgs({ options: { output: { type: 'string', default: 'dist' } } });
const root = join(import.meta.dirname, '..');
const output = resolve(root, values.output);
await mkdir(output, { recursive: true });
const work = await mkdtemp(join(tmpdir(), 'soulbox-fuse-'));
try {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  console.log(await packFuse(root, work, output, version));
} finally {
  await removeTree(work);
}
