/** @module-tag violation */
import { Sandbox, Volume } from 'e2b';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { needs } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';
import { killService, run } from './mounting.ts';

// Copies of sandboxes with copies of their volumes.
needs('volumes');
needs('checkpoint');

beforeAll(async () => {
  await useOwnTeam('volume-copies');
});

interface Made {
  readonly sandbox?: { readonly sandboxID: string; readonly volumeMounts: { readonly name: string }[] };
  readonly error?: object;
}

/** Removes all volumes that sandboxes of the team had, at the end of the test. */
async function createVolume(name: string): Promise<Volume> {
  const volume = await Volume.create(name);
  onTestFinished(async () => {
    for (const { volumeId, name: of } of await Volume.list()) if (of.startsWith(name)) await Volume.destroy(volumeId);
  });
  return volume;
}

/** Kills them before the volumes are removed. */
async function connect(sandboxId: string): Promise<Sandbox> {
  const sandbox = await Sandbox.connect(sandboxId);
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

async function clones(source: Sandbox, count: number): Promise<{ sandbox: Sandbox; volume: Volume }[]> {
  const { status, json } = await askApi('POST', `/sandboxes/${source.sandboxId}/fork`, {
    ...{ count, timeout: 120, volumes: 'clone' },
  });
  expect([status, json]).toMatchObject([201, Array(count).fill({ sandbox: {} })]);
  return await Promise.all(
    (json as Required<Made>[]).map(async ({ sandbox: { sandboxID, volumeMounts } }) => {
      const found = (await Volume.list()).find(({ name }) => name === volumeMounts[0]?.name);
      return { sandbox: await connect(sandboxID), volume: await Volume.connect(found?.volumeId ?? '') };
    }),
  );
}

/** Counts up in its memory, in a file that stays open, and in a mapped one. A file that it has removed stays open too. */
const counter = (): string =>
  [
    'import mmap, os, struct, time',
    'log = open("/data/log", "a")',
    'mapped = open("/data/mapped", "w+b"); mapped.truncate(4096)',
    'memory = mmap.mmap(mapped.fileno(), 4096)',
    'lost = open("/data/lost", "w+"); lost.write("unlinked"); lost.flush()',
    // Otherwise the save would be refused: a test of the driver has that.
    ...(server.capabilities.deletedFiles ? ['os.unlink("/data/lost")'] : []),
    'n = 0',
    'while not os.path.exists("/tmp/stop"):',
    '  n += 1',
    '  memory[0:8] = struct.pack("q", n)',
    '  log.write("%d\\n" % n); log.flush()',
    '  time.sleep(0.005)',
    'lost.seek(0)',
    'open("/tmp/told", "w").write("%d %d %s" % (n, struct.unpack("q", memory[0:8])[0], lost.read()))',
  ].join('\n');

/** Lets the program end, and compares what it knows with what is in its volume. Returns its last number. */
async function check(sandbox: Sandbox): Promise<number> {
  await sandbox.files.write('/tmp/stop', '');
  await until('the program', async () => await sandbox.files.exists('/tmp/told'));
  const [n, mapped, lost] = (await sandbox.files.read('/tmp/told')).split(' ');
  const lines = (await sandbox.files.read('/data/log')).trim().split('\n').map(Number);
  expect([lines.length, lines.at(-1), Number(mapped), lost]).toEqual([Number(n), Number(n), Number(n), 'unlinked']);
  expect(lines).toEqual(Array.from(lines, (_, at) => at + 1));
  return Number(n);
}

test("a fork with clones has the files of the moment, and nobody else's later", async () => {
  const volume = await createVolume('forked');
  const source = await createSandbox({ volumeMounts: { '/data': volume } });
  await source.files.write('/tmp/count.py', counter());
  await source.commands.run('python3 /tmp/count.py', { background: true, timeoutMs: 0 });
  await until(
    'lines',
    async () => (await source.files.exists('/data/log')) && Number(await run(source, 'wc -l < /data/log')) > 20,
  );
  const copies = await clones(source, 2);
  for (const { volume: clone } of copies) expect(clone.volumeId).not.toBe(volume.volumeId);
  // Each goes on in its own files: no line of another one is between its own.
  const ends = [await check(source)];
  for (const { sandbox } of copies) ends.push(await check(sandbox));
  await run(source, 'echo theirs > /data/later');
  for (const { sandbox, volume: clone } of copies) {
    expect(await run(sandbox, 'rm -f /data/lost; ls /data')).toBe('log\nmapped');
    await sandbox.kill();
    expect((await clone.list('/')).map(({ name }) => name).sort()).toEqual(['log', 'mapped']);
  }
  expect(Math.min(...ends)).toBeGreaterThan(20);
});

test('a paused source, and one with a large disk, are forked with clones too', { tags: ['long'] }, async () => {
  const volume = await createVolume('both');
  const source = await createSandbox({ volumeMounts: { '/data': volume } });
  await source.files.write('/tmp/count.py', counter());
  await source.commands.run('python3 /tmp/count.py', { background: true, timeoutMs: 0 });
  await source.commands.run('head -c 100M /dev/urandom > /home/user/large');
  const [large] = await clones(source, 1);
  await source.pause();
  const [paused] = await clones(source, 1);
  for (const copy of [large, paused]) if (copy !== undefined) expect(await check(copy.sandbox)).toBeGreaterThan(0);
  expect(await check(await Sandbox.connect(source.sandboxId))).toBeGreaterThan(0);
});

test('sandboxes from a snapshot with its volumes begin with the same files, and the source changes nothing', async () => {
  const volume = await createVolume('shot');
  const source = await createSandbox({ volumeMounts: { '/data': volume } });
  await run(source, 'echo before > /data/file');
  const made = await askApi('POST', `/sandboxes/${source.sandboxId}/snapshots`, { volumes: 'snapshot' });
  expect([made.status, made.json]).toMatchObject([201, { volumes: [{ path: '/data' }] }]);
  const { snapshotID, volumes } = made.json as { snapshotID: string; volumes: { name: string }[] };
  onTestFinished(async () => {
    await Sandbox.deleteSnapshot(snapshotID);
  });
  await run(source, 'echo after > /data/file');
  const one = await connect((await Sandbox.create(snapshotID)).sandboxId);
  expect(await run(one, 'cat /data/file; echo one > /data/file')).toBe('before');
  const two = await connect((await Sandbox.create(snapshotID)).sandboxId);
  expect(await run(two, 'cat /data/file')).toBe('before');
  expect((await two.getInfo()).volumeMounts?.[0]?.name).toMatch(new RegExp(`^${volumes[0]?.name}-`));
  expect(await run(source, 'cat /data/file')).toBe('after');
});

test(
  'a kill of the volume service during forks leaves no copies of volumes without a sandbox',
  { tags: ['long'] },
  async () => {
    const volume = await createVolume('killed');
    const source = await createSandbox({ volumeMounts: { '/data': volume } });
    await run(source, 'cd /data && for i in $(seq 500); do echo $i > $i; done');
    let made = 0;
    for (let round = 0; round < 4; round += 1) {
      const forking = askApi('POST', `/sandboxes/${source.sandboxId}/fork`, {
        count: 2,
        timeout: 60,
        volumes: 'clone',
      });
      await new Promise((resolve) => setTimeout(resolve, round * 60));
      await killService();
      const { status, json } = await forking;
      for (const { sandbox } of status === 201 ? (json as Made[]) : []) {
        if (sandbox === undefined) continue;
        made += 1;
        const copy = await Sandbox.connect(sandbox.sandboxID);
        expect(await run(copy, 'ls /data | wc -l')).toBe('500');
        await copy.kill();
      }
      expect(await run(source, 'ls /data | wc -l')).toBe('500');
    }
    expect(await Volume.list()).toHaveLength(1 + made);
  },
);
