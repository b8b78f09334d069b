import { chown, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCliPowerless } from '../../testing/run-cli.ts';

// Any owner works, as long as it is another user.
const nobody = 65_534;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-forbidden-'));
  await mkdir(join(directory, 'run'));
  await chown(directory, nobody, nobody);
});
afterEach(async () => await removeTree(directory));

test.each(['status', 'env', 'down', 'sandbox list'])('%s reports a folder that is not readable', async (command) => {
  const { code, stdout, stderr } = await runCliPowerless([...command.split(' '), '--data-dir', directory]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toBe(`error: This user cannot read ${directory}/run/server.json; use sudo. (forbidden)\n`);
});
