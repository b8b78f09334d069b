import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RateLimitError, Sandbox } from 'e2b';
import type { SandboxOpts } from 'e2b';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import { askApi } from '../harness/http.ts';
import { apiUrl, server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const waitMs = 30_000;
/** Uses a CPU until it is killed. */
const busy = 'i=0; while :; do i=$((i+1)); done';

async function soulbox(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runNode([cliMain, ...args, '--data-dir', server.dataDirectory], {});
  expect([args.join(' '), code, stderr]).toEqual([args.join(' '), 0, '']);
  return stdout.trim();
}

interface Team {
  readonly name: string;
  readonly id: string;
  readonly apiKey: string;
}

async function makeTeam(name: string): Promise<Team> {
  const id = await soulbox('team', 'create', name);
  return { name, id, apiKey: await soulbox('key', 'create', 'e2e', '--team', name) };
}

async function setLimits(team: Team, ...limits: string[]): Promise<void> {
  await soulbox('team', 'limits', team.name, ...limits.flatMap((limit) => ['--set', limit]));
}

/** A sandbox that ends with the test. */
async function create(apiKey: string, options: SandboxOpts = {}): Promise<Sandbox> {
  const sandbox = await Sandbox.create({ apiKey, ...options });
  onTestFinished(async () => {
    await Sandbox.kill(sandbox.sandboxId, { apiKey });
  });
  return sandbox;
}

async function stateOf(sandbox: Sandbox, apiKey: string): Promise<string> {
  return (await Sandbox.getInfo(sandbox.sandboxId, { apiKey })).state;
}

async function causesOf(sandbox: Sandbox, apiKey: string): Promise<string> {
  const path = `/events/sandboxes/${sandbox.sandboxId}`;
  return JSON.stringify((await askApi('GET', path, undefined, { 'x-api-key': apiKey })).json);
}

let team: Team;
let others: Team;
beforeAll(async () => {
  team = await makeTeam('limited');
  others = await makeTeam('unlimited');
}, waitMs);

describe('a limit of a team', () => {
  test('that is reached is a RateLimitError of the official client, and raising it helps at once', async () => {
    await setLimits(team, 'sandboxes=0');
    const refused = Sandbox.create({ apiKey: team.apiKey, retries: 0 });
    await expect(refused).rejects.toThrow(RateLimitError);
    await expect(refused).rejects.toThrow('maximum number of concurrent sandboxes (0)');
    await create(others.apiKey);
    await setLimits(team, 'sandboxes=default');
    await create(team.apiKey);
  });

  test('on creates per second is waited for by the official client', async () => {
    await setLimits(team, 'creates-per-second=1', 'creates-burst=1');
    onTestFinished(async () => await setLimits(team, 'creates-per-second=default', 'creates-burst=default'));
    await create(team.apiKey);
    const startedAt = performance.now();
    await create(team.apiKey);
    expect(performance.now() - startedAt).toBeGreaterThan(500);
    await expect(Sandbox.create({ apiKey: team.apiKey, retries: 0 })).rejects.toThrow('creates_per_second');
  });

  test('is changed over the API with the administrator’s token', async () => {
    const token = (await readFile(join(server.dataDirectory, 'control/secrets/admin-token'), 'utf8')).trim();
    const path = `/teams/${team.id}/limits`;
    const byKey = await askApi('PATCH', path, { snapshots: 7 }, { 'x-api-key': team.apiKey });
    expect(byKey.status).toBe(401);
    const changed = await askApi('PATCH', path, { snapshots: 7 }, { 'x-api-key': token });
    expect([changed.status, changed.json]).toEqual([
      200,
      expect.objectContaining({ snapshots: { value: 7, isDefault: false } }),
    ]);
    expect(await soulbox('team', 'limits', team.name)).toMatch(/^snapshots +7 /m);
    await setLimits(team, 'snapshots=default');
  });
});

describe('a budget', () => {
  test('of CPU time pauses the sandboxes of the team with their programs, until it is raised', async () => {
    const sandbox = await create(team.apiKey, { lifecycle: { onTimeout: 'pause', autoResume: true } });
    const other = await create(others.apiKey);
    const [program] = await Promise.all([
      sandbox.commands.run(busy, { background: true, timeoutMs: 0 }),
      other.commands.run(busy, { background: true, timeoutMs: 0 }),
    ]);
    await setLimits(team, 'cpu-seconds-per-day=2');
    onTestFinished(async () => await setLimits(team, 'cpu-seconds-per-day=default'));
    await until('the pause', async () => (await stateOf(sandbox, team.apiKey)) === 'paused', waitMs);
    const isRecorded = async (): Promise<boolean> =>
      (await causesOf(sandbox, team.apiKey)).includes('"cause":"budget"');
    await until('the event', isRecorded, waitMs);
    expect(await stateOf(other, others.apiKey)).toBe('running');

    const options = { apiKey: team.apiKey, retries: 0 };
    await expect(Sandbox.create(options)).rejects.toThrow('cpu_seconds_per_day');
    await expect(Sandbox.connect(sandbox.sandboxId, options)).rejects.toThrow(RateLimitError);
    // A request must not wake it.
    const read = sandbox.files.read('/etc/hostname');
    await expect(read).rejects.toThrow(RateLimitError);
    await expect(read).rejects.toThrow('has used up a budget');
    expect(await stateOf(sandbox, team.apiKey)).toBe('paused');

    const usage = await askApi('GET', `/teams/${team.id}/usage`, undefined, { 'x-api-key': team.apiKey });
    const { cpu_seconds_today: cpu } = usage.json as { cpu_seconds_today: { used: number; limit: number } };
    expect(cpu.limit).toBe(2);
    expect(cpu.used).toBeGreaterThan(2);
    expect(cpu.used).toBeLessThan(60);

    await setLimits(team, 'cpu-seconds-per-day=none');
    const again = await until(
      'the resume',
      async () => await Sandbox.connect(sandbox.sandboxId, { apiKey: team.apiKey }).catch(() => undefined),
      waitMs,
    );
    expect((await again.commands.list()).map(({ pid }) => pid)).toContain(program.pid);
  });

  test('of one API key, for sent bytes, pauses what this key has created', async () => {
    const made = await askApi('POST', '/api-keys', { name: 'budgeted' }, { 'x-api-key': team.apiKey });
    const { id, key } = made.json as { id: string; key: string };
    await soulbox('key', 'budget', id, '--team', team.name, '--set', 'egress_mb/total=1');
    // Without internet, every packet is dropped behind the interface at which it is counted.
    const options = { allowInternetAccess: false };
    const [own, other] = [await create(key, options), await create(team.apiKey, options)];
    const send = 'for i in $(seq 200); do head -c 10000 /dev/zero > /dev/udp/203.0.113.7/9; done; sleep 1000';
    await own.commands.run(`bash -c '${send}' || true`, { background: true, timeoutMs: 0 });
    await until('the pause', async () => (await stateOf(own, team.apiKey)) === 'paused', waitMs);
    expect(await stateOf(other, team.apiKey)).toBe('running');
    await expect(Sandbox.create({ apiKey: key, retries: 0 })).rejects.toThrow('1 MiB sent to the outside in total');
    await create(team.apiKey);
    const budgets = await askApi('GET', `/api-keys/${id}/budgets`, undefined, { 'x-api-key': key });
    expect(budgets.json).toEqual({
      budgets: [{ kind: 'egress_mb', period: 'total', amount: 1, used: expect.any(Number) as number }],
    });
  });
});

describe('an idempotency key', () => {
  test('with fifty creates of the official client at once makes one sandbox', async () => {
    const options = { apiKey: team.apiKey, headers: { 'Idempotency-Key': 'fifty' }, metadata: { test: 'fifty' } };
    const creating = Array.from({ length: 50 }, async () => await Sandbox.create(options));
    const outcomes = await Promise.allSettled(creating);
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
    expect(made.length).toBeGreaterThan(0);
    for (const reason of refused) expect(reason).toContain('still in progress');
    const query = { metadata: { test: 'fifty' } };
    const listed = await Sandbox.list({ apiKey: team.apiKey, query }).nextItems();
    expect(listed.map(({ sandboxId }) => sandboxId)).toEqual([made[0]?.sandboxId]);
    const again = await Sandbox.create(options);
    expect(again.sandboxId).toBe(made[0]?.sandboxId);
    expect((await again.commands.run('echo works')).stdout).toBe('works\n');
    await expect(Sandbox.create({ ...options, metadata: { test: 'other' } })).rejects.toThrow('another request');
    await again.kill();
    await expect(Sandbox.create(options)).rejects.toThrow('not found');
  });

  test('of the command line returns the same id', async () => {
    const environment = { E2B_API_URL: apiUrl, E2B_API_KEY: team.apiKey };
    const key = `from the "shell" ${randomUUID()}`;
    const run = async (): Promise<{ id: string; stderr: string }> => {
      const args = [cliMain, 'sandbox', 'create', '--idempotency-key', key];
      const { code, stdout, stderr } = await runNode(args, environment);
      expect(code, stderr).toBe(0);
      return { id: stdout.trim(), stderr };
    };
    const { id, stderr } = await run();
    expect(stderr).toBe('');
    onTestFinished(async () => {
      await Sandbox.kill(id, { apiKey: team.apiKey });
    });
    expect(await run()).toEqual({
      id,
      stderr: expect.stringContaining('this idempotency key was used before') as string,
    });
  });
});
