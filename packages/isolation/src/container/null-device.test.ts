import { chmod, chown, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reclaimNull } from './null-device.ts';

let folder: string;
let node: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-null-'));
  node = join(folder, 'null');
  await run('mknod', [node, 'c', '1', '3']);
});
afterEach(() => rm(folder, { recursive: true }));

test.each([
  ['a sandbox', 1_610_678_272, { uid: 0, mode: 0o666 }],
  ['a user of the host', 1000, { uid: 1000, mode: 0o600 }],
])('a node of %s', async (_name, owner, expected) => {
  await chown(node, owner, owner);
  await chmod(node, 0o600);
  await reclaimNull(node);
  const { uid, mode } = await stat(node);
  expect({ uid, mode: mode & 0o777 }).toEqual(expected);
});
