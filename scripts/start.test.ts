import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'start-'));
});
afterEach(async () => await removeTree(directory));

/** What `npm start` runs once the packages are installed. */
async function start(flags: readonly string[], environment: Readonly<Record<string, string>>) {
  const args = [
    '--conditions=soulbox-source',
    join(import.meta.dirname, 'start.ts'),
    '--data-dir',
    directory,
    ...flags,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
    timeout: 50_000,
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  return { code, stdout, stderr };
}

test('a wrong setting is told and ends it', { timeout: 60_000 }, async () => {
  const { code, stderr } = await start([], { SOULBOX_MAX_SANDBOXES: 'many' });
  expect(code).toBe(1);
  expect(stderr).toContain('SOULBOX_MAX_SANDBOXES');
});

test('a question for the flags is answered and ends it', { timeout: 60_000 }, async () => {
  const { code, stdout } = await start(['--help'], {});
  expect(code).toBe(0);
  expect(stdout).toContain('soulbox up');
});
