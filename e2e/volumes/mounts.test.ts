import { Sandbox, Volume } from 'e2b';
import { findServerPart } from '@soulbox/testing';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { needs, skipWithout } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// Volumes in sandboxes, with the unmodified client.
needs('volumes');

beforeAll(async () => {
  await useOwnTeam('mounts');
});

/** Removed at the end of the test: its sandboxes are killed before, because they were made later. */
async function createVolume(name: string): Promise<Volume> {
  const volume = await Volume.create(name);
  onTestFinished(async () => {
    await Volume.destroy(volume.volumeId);
  });
  return volume;
}

const mounting = async (volume: Volume | string, path = '/data'): Promise<Sandbox> =>
  await createSandbox({ volumeMounts: { [path]: volume } });
const run = async ({ commands }: Sandbox, command: string): Promise<string> =>
  (await commands.run(command)).stdout.trim();
const numbersTo = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));

/** Appends a number to /data/log every 20 ms, through one descriptor that stays open. */
const appender = 'exec >> /data/log; i=0; while true; do echo $i; i=$((i + 1)); sleep 0.02; done';

async function loggedLines(volume: Volume): Promise<string[]> {
  const text = (await volume.exists('/log')) ? await volume.readFile('/log') : '';
  return text.split('\n').slice(0, -1);
}

test('two sandboxes and the API see the same files at once, and they stay', async () => {
  const volume = await createVolume('shared');
  await volume.makeDir('/in');
  await volume.writeFile('/in/first', 'by the API');
  const [one, two] = [await mounting(volume), await mounting('shared', '/mnt/other folder')];
  expect(await run(one, 'cat /data/in/first')).toBe('by the API');
  await run(one, 'echo "by one" > /data/one');
  expect(await run(two, "cat '/mnt/other folder/one'")).toBe('by one');
  await run(two, "echo 'by two' >> '/mnt/other folder/one'; mv '/mnt/other folder/one' '/mnt/other folder/in/moved'");
  expect(await run(one, 'ls /data; cat /data/in/moved')).toBe('in\nby one\nby two');
  expect(await volume.readFile('/in/moved')).toBe('by one\nby two\n');
  await volume.writeFile('/in/moved', 'replaced');
  expect(await run(one, 'cat /data/in/moved')).toBe('replaced');
  expect(await run(one, "stat -c '%U %a' /data/in /data/in/moved")).toBe('user 755\nuser 644');
  await one.kill();
  await two.kill();
  expect(await volume.readFile('/in/moved')).toBe('replaced');
  expect(await run(await mounting(volume), 'cat /data/in/moved')).toBe('replaced');
});

test('lists and details name the mounts', async () => {
  const volume = await createVolume('named');
  const sandbox = await mounting(volume);
  const mount = [{ name: 'named', path: '/data', readOnly: false }];
  expect((await sandbox.getInfo()).volumeMounts).toEqual(mount);
  const listed = await Sandbox.list().nextItems();
  expect(listed.find(({ sandboxId }) => sandboxId === sandbox.sandboxId)).toMatchObject({ volumeMounts: mount });
});

test('locks hold between sandboxes, and end with the one that has them', async (context) => {
  skipWithout('sharedVolumeLocks', context);
  const volume = await createVolume('locks');
  const [one, two] = [await mounting(volume), await mounting(volume)];
  const tryLock = async (): Promise<number> =>
    (await two.commands.run('flock -n /data/lock true || echo $?')).stdout === '' ? 0 : 1;
  await one.commands.run('flock /data/lock sleep 600', { background: true, timeoutMs: 0 });
  await until('the lock', async () => (await tryLock()) === 1);
  const waiting = two.commands.run('flock /data/lock echo got', { timeoutMs: 60_000 });
  await one.kill();
  expect((await waiting).stdout).toBe('got\n');
  expect(await tryLock()).toBe(0);
});

test('a git repository and an SQLite database work on a volume', async () => {
  const volume = await createVolume('tools');
  const [one, two] = [await mounting(volume), await mounting(volume)];
  const git = 'git -c user.name=Ada -c user.email=ada@example.com';
  await run(
    one,
    `cd /data && git init -q -b main repo && cd repo && echo a > a && git add a && ${git} commit -qm first`,
  );
  await run(two, `cd /data/repo && echo b > b && git add b && ${git} commit -qm second && git gc -q`);
  expect(await run(one, 'cd /data/repo && git log --format=%s && git status --short && git fsck 2>&1')).toMatch(
    /^second\nfirst/,
  );
  const insert = [
    'import sqlite3',
    "db = sqlite3.connect('/data/db', timeout=60)",
    "db.execute('CREATE TABLE IF NOT EXISTS t (x)')",
    'for n in range(50):',
    "  with db: db.execute('INSERT INTO t VALUES (?)', (n,))",
  ].join('\n');
  for (const { files } of [one, two]) await files.write('/tmp/insert.py', insert);
  await run(one, 'python3 /tmp/insert.py');
  const insertions = [one, two].map(
    (sandbox) => async () => await sandbox.commands.run('python3 /tmp/insert.py', { timeoutMs: 120_000 }),
  );
  // SQLite needs locks to write at the same time.
  if (server.capabilities.sharedVolumeLocks) await Promise.all(insertions.map(async (begin) => await begin()));
  else for (const begin of insertions) await begin();
  const check =
    "print(*db.execute('SELECT count(*), sum(x) FROM t').fetchone(), *db.execute('PRAGMA integrity_check').fetchone())";
  await two.files.write('/tmp/check.py', `import sqlite3\ndb = sqlite3.connect('/data/db')\n${check}\n`);
  expect(await run(two, 'python3 /tmp/check.py')).toBe(`150 ${3 * 1225} ok`);
});

test('a program with an open file goes on after a pause, and sees what others have written meanwhile', async (context) => {
  skipWithout('checkpoint', context);
  const volume = await createVolume('paused');
  const sandbox = await mounting(volume);
  await sandbox.commands.run(appender, { background: true, timeoutMs: 0 });
  await until('a line', async () => (await loggedLines(volume)).length > 5);
  await sandbox.pause();
  const before = await loggedLines(volume);
  await volume.writeFile('/meanwhile', 'new');
  expect(await loggedLines(volume)).toEqual(before);
  const again = await Sandbox.connect(sandbox.sandboxId);
  await until('more lines', async () => (await loggedLines(volume)).length > before.length + 5);
  const after = await loggedLines(volume);
  expect(after).toEqual(numbersTo(after.length));
  expect(await run(again, 'cat /data/meanwhile')).toBe('new');
});

test('copies have the volumes of their source, with the files that their programs have open', async (context) => {
  skipWithout('checkpoint', context);
  const volume = await createVolume('copied');
  const source = await mounting(volume);
  await source.commands.run(`exec 3>> /data/log; while [ ! -e /tmp/go ]; do sleep 0.05; done; cat /tmp/go >&3`, {
    ...{ background: true, timeoutMs: 0 },
  });
  const { snapshotId } = await source.createSnapshot();
  onTestFinished(async () => {
    await Sandbox.deleteSnapshot(snapshotId);
  });
  const [fork] = await source.fork({ count: 1, timeoutMs: 120_000 });
  if (!(fork instanceof Sandbox)) throw new Error('The fork failed.');
  const later = await Sandbox.create(snapshotId);
  for (const [at, sandbox] of [source, fork, later].entries()) {
    expect((await sandbox.getInfo()).volumeMounts).toMatchObject([{ name: 'copied', path: '/data' }]);
    await sandbox.files.write('/tmp/go', `${at}\n`);
    await until(`line ${at}`, async () => (await loggedLines(volume)).length > at);
  }
  expect(await loggedLines(volume)).toEqual(numbersTo(3));
  await Promise.all([fork.kill(), later.kill()]);
});

test(
  'a full volume is EDQUOT for programs, and takes writes again after a file was deleted',
  { repeats: 8 },
  async () => {
    const made = await askApi('POST', '/volumes', { name: 'full', sizeMb: 16 });
    const volume = await Volume.connect((made.json as { volumeID: string }).volumeID);
    onTestFinished(async () => {
      await Volume.destroy(volume.volumeId);
    });
    const sandbox = await mounting(volume);
    const fill = `
import errno, os, sys
def fill(path):
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        while True: os.write(file, bytes(65536))
    except OSError as error:
        print(errno.errorcode[error.errno], os.fstat(file).st_size >> 20)
    os.close(file)
fill("/data/first")
fill("/data/second")
os.unlink("/data/first")
with open("/data/third", "wb") as file:
    file.write(bytes(8 << 20)); file.flush(); os.fsync(file.fileno())
print(os.stat("/data/third").st_size >> 20)
`;
    await sandbox.files.write('/tmp/fill.py', fill);
    expect(await run(sandbox, 'python3 /tmp/fill.py')).toMatch(/^EDQUOT 16\nEDQUOT 0\n8$/);
    expect((await volume.list('/')).map(({ name }) => name).sort()).toEqual(['second', 'third']);
  },
);

test('a volume is not deleted while a sandbox has it, running or paused', async () => {
  const volume = await Volume.create('used');
  const sandbox = await mounting(volume);
  await expect(Volume.destroy(volume.volumeId)).rejects.toThrow(sandbox.sandboxId);
  if (server.capabilities.checkpoint) {
    await sandbox.pause();
    await expect(Volume.destroy(volume.volumeId)).rejects.toThrow(sandbox.sandboxId);
  }
  expect(await askApi('DELETE', `/volumes/${volume.volumeId}`)).toMatchObject({ status: 409 });
  await sandbox.kill();
  expect(await Volume.destroy(volume.volumeId)).toBe(true);
});

test('a kill of the volume service is a delay for the programs that use it, and no error', async () => {
  const volume = await createVolume('killed');
  const sandbox = await mounting(volume);
  const program = [
    'import os, time',
    'log = os.open("/data/log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)',
    'for n in range(400):',
    '  os.write(log, b"%d\\n" % n)',
    '  with open("/data/%d" % n, "x") as one: one.write(str(n)); one.flush(); os.fsync(one.fileno())',
    '  os.rename("/data/%d" % n, "/data/done-%d" % n)',
    '  time.sleep(0.02)',
  ].join('\n');
  await sandbox.files.write('/tmp/write.py', program);
  const writing = await sandbox.commands.run('python3 /tmp/write.py', { background: true, timeoutMs: 300_000 });
  for (const at of [40, 150, 260]) {
    await until(`line ${at}`, async () => (await loggedLines(volume)).length > at, 120_000);
    const pid = findServerPart(server.pid, 'volumes') ?? 0;
    process.kill(pid, 'SIGKILL');
    await until('the end of the process', () => findServerPart(server.pid, 'volumes') !== pid);
  }
  expect(await writing.wait()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await loggedLines(volume)).toEqual(numbersTo(400));
  const names = (await volume.list('/')).map(({ name }) => name).sort();
  expect(names).toEqual([...numbersTo(400).map((n) => `done-${n}`), 'log'].sort());
}, 300_000);

test('a snapshot of a volume, and a mount that asks for it, cannot be changed', async () => {
  const volume = await createVolume('source');
  await volume.writeFile('/a', 'a');
  await askApi('POST', '/volumes', { name: 'shot', from: 'source', readOnly: true });
  const ofSnapshot = await mounting('shot');
  const answer = await askApi('POST', '/v2/sandboxes', {
    ...{ templateID: 'base', volumeMounts: [{ name: 'source', path: '/data', readOnly: true }] },
  });
  const asked = await Sandbox.connect((answer.json as { sandboxID: string }).sandboxID);
  for (const sandbox of [ofSnapshot, asked]) {
    expect(await run(sandbox, 'cat /data/a')).toBe('a');
    await expect(run(sandbox, 'touch /data/b')).rejects.toThrow(/Read-only|exit status 1/);
    await sandbox.commands.run('mount -o remount,bind,rw /data', { user: 'root' }).catch(() => undefined);
    await sandbox.commands.run('touch /data/b', { user: 'root' }).catch(() => undefined);
    await sandbox.kill();
  }
  expect((await volume.list('/')).map(({ name }) => name)).toEqual(['a']);
  expect(await Volume.destroy((await Volume.list()).find(({ name }) => name === 'shot')?.volumeId ?? '')).toBe(true);
});

test('nobody gets a sandbox without the volume that was asked for', async () => {
  await expect(mounting('none')).rejects.toThrow('"none" was not found');
  const volume = await createVolume('paths');
  // The API knows no links and files of the sandbox: the mount itself fails.
  for (const path of ['/proc/x', '/etc/passwd', '/etc/passwd/x', 'relative'])
    await expect(mounting(volume, path)).rejects.toThrow(path.startsWith('/etc') ? /mounted/ : /volumeMounts/);
  expect(await Sandbox.list().nextItems()).toEqual([]);
});
