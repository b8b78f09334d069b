import { Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { needs } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { createStrangerKey } from '../harness/stranger.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

async function forkAll(sandbox: Sandbox, count: number): Promise<Sandbox[]> {
  const results = await sandbox.fork({ count, timeoutMs: 120_000 });
  const copies = results.filter((result) => result instanceof Sandbox);
  onTestFinished(async () => {
    await Promise.all(copies.map(async (copy) => await copy.kill()));
  });
  expect(results.filter((result) => !(result instanceof Sandbox))).toEqual([]);
  return copies;
}

const tokenOf = (sandbox: Sandbox): string =>
  (sandbox as unknown as { envdAccessToken?: string }).envdAccessToken ?? '';

const diskSizes = { small: 0, large: 80 } as const;

// The two ways to copy a running source: docs/decisions/013.
test.each(['small', 'large'] as const)(
  'copies continue from one memory and a %s disk, and share nothing afterwards',
  async (disk) => {
    const source = await createSandbox();
    await source.commands.run(`head -c ${String(diskSizes[disk])}M /dev/urandom > large && sha256sum large > sum`);
    const script = `
import os, time
value = os.urandom(8).hex()
open('/tmp/value', 'w').write(value)
while True:
    if os.path.exists('/tmp/tell'): open('/tmp/told', 'w').write(value)
    time.sleep(0.05)
`;
    await source.files.write('hold.py', script);
    await source.commands.run('python3 hold.py', { background: true, timeoutMs: 0 });
    const value = await until('the value', async () =>
      (await source.files.exists('/tmp/value')) ? (await source.files.read('/tmp/value')) || undefined : undefined,
    );
    const copies = await forkAll(source, 3);
    const all = [source, ...copies];

    for (const sandbox of all) {
      await sandbox.files.remove('/tmp/value');
      await sandbox.files.write('/tmp/tell', '');
      const told = await until('the same value from memory', async () =>
        (await sandbox.files.exists('/tmp/told')) ? (await sandbox.files.read('/tmp/told')) || undefined : undefined,
      );
      expect(told).toBe(value);
    }
    const facts = await Promise.all(
      all.map(async (sandbox) => ({
        id: sandbox.sandboxId,
        token: tokenOf(sandbox),
        hostname: (await sandbox.commands.run('hostname')).stdout,
        machineId: await sandbox.files.read('/etc/machine-id'),
        bootId: await sandbox.files.read('/proc/sys/kernel/random/boot_id'),
        generation: await sandbox.files.read('/run/soulbox/generation'),
        named: (await sandbox.commands.run('echo $E2B_SANDBOX_ID')).stdout.trim(),
      })),
    );
    for (const key of ['id', 'token', 'hostname', 'machineId', 'bootId', 'generation', 'named'] as const) {
      expect({ key, different: new Set(facts.map((fact) => fact[key])).size }).toEqual({ key, different: all.length });
    }
    for (const fact of facts) expect(fact.named).toBe(fact.id);
    for (const sandbox of all) expect((await sandbox.commands.run('sha256sum -c sum')).stdout).toBe('large: OK\n');

    await copies[0]?.files.write('only-here', 'x');
    expect(await source.files.exists('only-here')).toBe(false);
    expect(await copies[1]?.files.exists('only-here')).toBe(false);
  },
);

test('the token of the source does not open a copy, and the token of a copy does not open the source', async () => {
  const source = await createSandbox();
  const [copy] = await forkAll(source, 1);
  if (copy === undefined) throw new Error('no copy');
  const status = async (sandbox: Sandbox, token: string): Promise<number> => {
    const response = await fetch(`${process.env['E2B_SANDBOX_URL'] ?? ''}/files?path=/etc/hostname`, {
      headers: { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': '49983', 'X-Access-Token': token },
    });
    await response.body?.cancel();
    return response.status;
  };
  expect(await status(source, tokenOf(source))).toBe(200);
  expect(await status(copy, tokenOf(copy))).toBe(200);
  expect(await status(copy, tokenOf(source))).toBe(401);
  expect(await status(source, tokenOf(copy))).toBe(401);
});

test('a paused sandbox is forked without waking it', async () => {
  const source = await createSandbox();
  await source.files.write('file.txt', 'from sleep');
  await source.pause();
  const copies = await forkAll(source, 2);
  expect((await source.getInfo()).state).toBe('paused');
  for (const copy of copies) expect(await copy.files.read('file.txt')).toBe('from sleep');
  await source.connect();
  expect(await source.files.read('file.txt')).toBe('from sleep');
});

test('all of ten copies made at once answer', { timeout: 120_000 }, async () => {
  const source = await createSandbox();
  const copies = await forkAll(source, 10);
  const outputs = await Promise.all(copies.map(async (copy) => (await copy.commands.run('echo here')).stdout));
  expect(outputs).toEqual(Array.from({ length: 10 }, () => 'here\n'));
  expect((await source.commands.run('echo here')).stdout).toBe('here\n');
});

test('a copy of a copy can be copied', async () => {
  let current = await createSandbox();
  for (let depth = 0; depth < 3; depth++) {
    await current.files.write(`depth-${String(depth)}`, '');
    const [copy] = await forkAll(current, 1);
    if (copy === undefined) throw new Error('no copy');
    current = copy;
  }
  expect(await current.files.exists('depth-0')).toBe(true);
  expect(await current.files.exists('depth-2')).toBe(true);
});

test.each([0, 101, -1, 1.5, 'x', null])('count %j is refused with 400 before anything else', async (count) => {
  const sandbox = await createSandbox();
  const { status } = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/fork`, { count });
  expect(status).toBe(400);
  const unknown = await askApi('POST', '/sandboxes/i00000000000000000000/fork', { count });
  expect(unknown.status).toBe(400);
});

test("another team's valid key cannot fork our sandbox and learns nothing about it", async () => {
  const sandbox = await createSandbox();
  const key = { 'x-api-key': await createStrangerKey('strangers of forks') };
  const ours = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/fork`, { count: 1 }, key);
  const none = await askApi('POST', '/sandboxes/i00000000000000000000/fork', { count: 1 }, key);
  expect([ours.status, none.status]).toEqual([404, 404]);
  const withoutId = (json: unknown, id: string): string => JSON.stringify(json).replaceAll(id, 'ID');
  expect(withoutId(ours.json, sandbox.sandboxId)).toBe(withoutId(none.json, 'i00000000000000000000'));
  expect((await askApi('GET', '/v2/sandboxes', undefined, key)).json).toEqual([]);
});

test('an invalid key is refused before anything is looked up', async () => {
  const sandbox = await createSandbox();
  const key = { 'x-api-key': 'e2b_00' };
  expect((await askApi('POST', `/sandboxes/${sandbox.sandboxId}/fork`, {}, key)).status).toBe(401);
});
