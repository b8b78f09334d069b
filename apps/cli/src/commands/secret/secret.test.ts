import { writeFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

const secret = { secretID: 'sec_1', name: 'token', currentVersion: 2 };

test('the value of a secret comes from a file or from standard input, without its last line break', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cli-secret-'));
  try {
    const file = join(directory, 'value');
    await writeFile(file, 'two\nlines\n');
    await using api = await startScriptedApi([
      { status: 201, body: secret },
      { status: 200, body: secret },
    ]);
    const made = await runCli(['secret', 'create', 'token', '--value-file', file], api.environment);
    expect(made.stdout).toBe('sec_1\n');
    expect(api.seen[0]).toMatchObject({ line: 'POST /secrets', body: { name: 'token', value: 'two\nlines' } });
    const changed = await runCli(['secret', 'update', 'a b', '--value-file', file], api.environment);
    expect(changed.stdout).toBe('token has version 2.\n');
    expect(api.seen[1]).toMatchObject({ line: 'POST /secrets/a%20b', body: { value: 'two\nlines' } });
    expect(made.stdout + made.stderr + changed.stdout + changed.stderr).not.toContain('lines');
    const missing = await runCli(['secret', 'create', 'token', '--value-file', `${file}.none`], api.environment);
    expect(missing.code).not.toBe(0);
    expect(api.seen).toHaveLength(2);
  } finally {
    await removeTree(directory);
  }
});
