// systemd shares all mounts of a host; not every test machine has it.
import { fileURLToPath } from 'node:url';
import { run } from '@soulbox/base';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('testing/shared-host.ts', import.meta.url));

test('on a host that shares its mounts, those of a sandbox are private, and it can be saved and restored', async () => {
  const node = [process.execPath, '--conditions=soulbox-source', program];
  const output = await run('unshare', ['--mount', '--propagation', 'shared', ...node]);
  const lines = output.trim().split('\n');
  expect(lines.filter((line) => / \/ \/ .* overlay /.test(line))).toHaveLength(2);
  expect(lines.filter((line) => / (?:shared|master):\d+ /.test(line))).toEqual([]);
});
