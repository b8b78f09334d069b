// The envd of a sandbox is as hostile as everything else in it. SoulBox must keep its promises without its help.
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { beforeEach, expect, test } from 'vitest';
import { silenceEnvd } from '../harness/envd-process.ts';
import { askApi } from '../harness/http.ts';
import { skipWithout } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

beforeEach(({ skip }) => {
  if (server.capabilities.ownKernel) skip('the host sees no processes inside gVisor, and has no packet filter there');
});

/** Longer than a step takes, and shorter than the runner waits for an envd. */
const promptMs = 9_000;

async function stateOf(sandboxId: string): Promise<unknown> {
  const { status, json } = await askApi('GET', `/sandboxes/${sandboxId}`);
  return status === 404 ? 'gone' : (json as { state: unknown }).state;
}

async function isSilent(sandbox: Sandbox): Promise<boolean> {
  const answer = sandbox.files.list('/', { requestTimeoutMs: 1_000 }).then(
    () => false,
    () => true,
  );
  return await answer;
}

test('a sandbox whose envd does not answer can be killed by its owner', async () => {
  const sandbox = await createSandbox();
  await silenceEnvd(sandbox.sandboxId);
  expect(await isSilent(sandbox)).toBe(true);
  const startedAt = performance.now();
  expect(await sandbox.kill()).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(promptMs);
  expect(await stateOf(sandbox.sandboxId)).toBe('gone');
});

test('its deadline ends it', async () => {
  const sandbox = await createSandbox({ timeoutMs: 60_000 });
  await silenceEnvd(sandbox.sandboxId);
  await sandbox.setTimeout(2_000);
  expect(await stateOf(sandbox.sandboxId)).toBe('running');
  await until('its end', async () => (await stateOf(sandbox.sandboxId)) === 'gone', 2_000 + promptMs);
});

test('its deadline can be changed, and is kept', async () => {
  const sandbox = await createSandbox({ timeoutMs: 60_000 });
  await silenceEnvd(sandbox.sandboxId);
  await sandbox.setTimeout(1_500);
  await sandbox.setTimeout(60_000);
  await sleep(2_500);
  expect(await stateOf(sandbox.sandboxId)).toBe('running');
});

test('it is paused at its deadline if its owner chose that', async (context) => {
  skipWithout('checkpoint', context);
  const sandbox = await createSandbox({ timeoutMs: 60_000, lifecycle: { onTimeout: 'pause' } });
  await silenceEnvd(sandbox.sandboxId);
  await sandbox.setTimeout(1_500);
  await until('the pause', async () => (await stateOf(sandbox.sandboxId)) === 'paused', 2_000 + promptMs);
});

test(
  'a copy whose envd does not confirm is not served and leaves nothing behind',
  { timeout: 90_000 },
  async (context) => {
    skipWithout('checkpoint', context);
    const source = await createSandbox();
    const token = (source as unknown as { envdAccessToken: string }).envdAccessToken;
    // Root inside prevents envd from writing the file that tells programs that they are copies. Each copy inherits the
    // program. It starts no other programs: it must be faster than envd in the copy.
    const spoil = `import os
path = '/run/soulbox/generation'
while True:
    for change in (os.remove, os.mkdir):
        try:
            change(path)
        except OSError:
            pass`;
    await source.files.write('/tmp/spoil.py', spoil);
    await source.commands.run('nohup python3 /tmp/spoil.py >/dev/null 2>&1 &', { user: 'root' });
    await source.commands.run('until test -d /run/soulbox/generation; do sleep 0.1; done');
    const before = await idsOfAll();
    const [outcome] = await source.fork({ count: 1, timeoutMs: 60_000, requestTimeoutMs: 60_000 });
    expect(outcome).not.toBeInstanceOf(Sandbox);
    expect(JSON.stringify(outcome)).not.toContain(token);
    expect(await idsOfAll()).toEqual(before);
    expect(await stateOf(source.sandboxId)).toBe('running');
  },
);

async function idsOfAll(): Promise<string[]> {
  const { json } = await askApi('GET', '/v2/sandboxes?state=running,paused&limit=100');
  return (json as { sandboxID: string }[]).map(({ sandboxID }) => sandboxID).toSorted();
}
