import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

describe.each([
  ['plain HTTP', server.plain],
  ['TLS with E2B_DOMAIN', server.tls],
] as const)('the official CLI over %s', (_way, environment) => {
  const cli = async (...args: string[]): Promise<Output> => await runCli(args, environment);
  let sandboxId = '';

  beforeAll(async () => {
    const { code, stdout, stderr } = await cli('sandbox', 'create', '-d', 'base');
    expect(code, stdout + stderr).toBe(0);
    sandboxId = /\bi[a-z0-9]{20}\b/.exec(stdout)?.[0] ?? '';
    expect(sandboxId, stdout).not.toBe('');
  });
  afterAll(async () => {
    if (sandboxId !== '') await Sandbox.kill(sandboxId);
  });

  test('create -d leaves a running sandbox', async () => {
    expect((await Sandbox.getInfo(sandboxId)).state).toBe('running');
  });

  test('list shows it', async () => {
    const { code, stdout } = await cli('sandbox', 'list', '-f', 'json');
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { sandboxId: string }[]).map((entry) => entry.sandboxId)).toContain(sandboxId);
    expect((await cli('sandbox', 'list')).stdout).toContain(sandboxId);
  });

  test('info shows its details', async () => {
    const { code, stdout } = await cli('sandbox', 'info', sandboxId);
    expect(code).toBe(0);
    expect(stdout).toContain(sandboxId);
    expect(stdout).toMatch(/running/i);
  });

  test('exec returns output and exit code', async () => {
    const result = await cli('sandbox', 'exec', sandboxId, 'echo out; echo err >&2; exit 5');
    expect(result).toMatchObject({ code: 5, stdout: 'out\n' });
    expect(result.stderr).toContain('err');
    expect((await cli('sandbox', 'exec', '-u', 'root', '-c', '/tmp', sandboxId, 'id -un; pwd')).stdout).toBe(
      'root\n/tmp\n',
    );
  });

  test('exec reads piped input', async () => {
    const input = 'first line\nzweite Zeile ü\n'.repeat(5000);
    const { code, stdout } = await runCli(['sandbox', 'exec', sandboxId, 'wc -l; echo end'], environment, input);
    expect(code).toBe(0);
    expect(stdout.trim().split(/\s+/)).toEqual(['10000', 'end']);
  });

  test('logs print what happened', async () => {
    const { code, stdout, stderr } = await cli('sandbox', 'logs', sandboxId);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/sandbox created/);
  });

  test('metrics print samples', async () => {
    await until('a sample', async () => (await Sandbox.getMetrics(sandboxId)).length > 0);
    const { code, stdout, stderr } = await cli('sandbox', 'metrics', sandboxId);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/CPU/i);
  });

  test('a wrong key is reported as such', async () => {
    const { code, stdout, stderr } = await runCli(['sandbox', 'list'], {
      ...environment,
      E2B_API_KEY: `e2b_${'0'.repeat(40)}`,
    });
    expect(code).not.toBe(0);
    expect(stdout + stderr).toMatch(/unauthor|credentials|401/i);
  });

  test('kill ends it', async () => {
    const { code } = await cli('sandbox', 'kill', sandboxId);
    expect(code).toBe(0);
    await expect(Sandbox.getInfo(sandboxId)).rejects.toThrow();
    const again = await cli('sandbox', 'kill', sandboxId);
    expect(again.stdout + again.stderr).toMatch(/wasn't found|not found/i);
  });
});
