import { FileNotFoundError, FilesystemEventType, InvalidArgumentError } from 'e2b';
import type { FilesystemEvent, Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

async function watch(
  path: string,
  options: Parameters<Sandbox['files']['watchDir']>[2] = {},
): Promise<FilesystemEvent[]> {
  const events: FilesystemEvent[] = [];
  const handle = await sandbox().files.watchDir(path, (event) => void events.push(event), options);
  onTestFinished(async () => await handle.stop());
  return events;
}

async function freshFolder(name: string): Promise<string> {
  const path = `/home/user/watch-${name}`;
  await sandbox().files.makeDir(path);
  return path;
}

const has = (events: FilesystemEvent[], type: FilesystemEventType, name: string): boolean =>
  events.some((event) => event.type === type && event.name === name);

test('every kind of change is reported', async () => {
  const path = await freshFolder('kinds');
  const events = await watch(path);
  await sandbox().files.write(`${path}/file`, 'x');
  await sandbox().commands.run(`chmod 600 ${path}/file && mv ${path}/file ${path}/renamed && rm ${path}/renamed`);
  for (const [type, name] of [
    [FilesystemEventType.CREATE, 'file'],
    [FilesystemEventType.WRITE, 'file'],
    [FilesystemEventType.CHMOD, 'file'],
    [FilesystemEventType.RENAME, 'file'],
    [FilesystemEventType.REMOVE, 'renamed'],
  ] as const) {
    await until(`${type} of ${name}`, () => has(events, type, name));
  }
});

test('without recursive, changes in subfolders are not reported', async () => {
  const path = await freshFolder('flat');
  await sandbox().files.makeDir(`${path}/sub`);
  const events = await watch(path);
  await sandbox().files.write(`${path}/sub/hidden`, 'x');
  await sandbox().files.write(`${path}/seen`, 'x');
  await until('the seen one', () => has(events, FilesystemEventType.CREATE, 'seen'));
  expect(events.filter(({ name }) => name.includes('hidden'))).toEqual([]);
});

test('recursive covers existing folders and folders that are created later', async () => {
  const path = await freshFolder('deep');
  await sandbox().files.makeDir(`${path}/old/er`);
  const events = await watch(path, { recursive: true });
  await sandbox().files.write(`${path}/old/er/one`, 'x');
  await until('in the old folder', () => has(events, FilesystemEventType.CREATE, 'old/er/one'));
  await sandbox().files.makeDir(`${path}/new`);
  await until('the new folder', () => has(events, FilesystemEventType.CREATE, 'new'));
  await sandbox().files.write(`${path}/new/two`, 'x');
  await until('in the new folder', () => has(events, FilesystemEventType.WRITE, 'new/two'));
});

test('events contain entries on request', async () => {
  const path = await freshFolder('entries');
  const events = await watch(path, { includeEntry: true });
  await sandbox().files.write(`${path}/file`, 'four');
  const event = await until('a write', () =>
    events.find(({ type, entry }) => type === FilesystemEventType.WRITE && entry?.size === 4),
  );
  expect(event.entry).toMatchObject({ path: `${path}/file`, owner: 'user' });
});

test('a stopped watch reports nothing more', async () => {
  const path = await freshFolder('stopped');
  const events: FilesystemEvent[] = [];
  const ended = Promise.withResolvers<undefined>();
  const handle = await sandbox().files.watchDir(path, (event) => void events.push(event), {
    onExit: () => ended.resolve(undefined),
  });
  await handle.stop();
  await ended.promise;
  await sandbox().files.write(`${path}/late`, 'x');
  expect(events).toEqual([]);
});

test('a path that cannot be watched is refused', async () => {
  await expect(sandbox().files.watchDir('/no/such', () => undefined)).rejects.toThrow(FileNotFoundError);
  await expect(sandbox().files.watchDir('/etc/passwd', () => undefined)).rejects.toThrow(InvalidArgumentError);
});

test('a burst of a thousand files is reported completely', async () => {
  const path = await freshFolder('burst');
  const events = await watch(path);
  await sandbox().commands.run(`cd ${path} && for i in $(seq 1000); do : > f$i; done`);
  await until('all creates', () => new Set(events.map(({ name }) => name)).size === 1000, 15_000);
});
