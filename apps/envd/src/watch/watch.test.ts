import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { EventType } from '@soulbox/contract/filesystem';
import type { FilesystemEvent, WatchDirResponse } from '@soulbox/contract/filesystem';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createClients, runShell } from '../testing/clients.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;
let clients: ReturnType<typeof createClients>;

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
  clients = createClients(envd.baseUrl);
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await shell('rm -rf w outside; mkdir -p w/sub/deep outside');
});

async function shell(line: string): Promise<void> {
  expect((await runShell(clients.process, line)).end?.exitCode).toBe(0);
}

async function isFile(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** The kind of the next message of a stream. */
async function nextKind(stream: AsyncIterator<WatchDirResponse, unknown>): Promise<string | undefined> {
  const result = await stream.next();
  return result.done === true ? undefined : result.value.event.case;
}

/** Watches `w` while `line` runs and returns the events as text, such as `create a`. */
async function eventsOf(
  line: string,
  options: { recursive?: boolean; includeEntry?: boolean } = {},
): Promise<string[]> {
  const abort = new AbortController();
  const seen: FilesystemEvent[] = [];
  const stream = clients.filesystem
    .watchDir({ path: 'w', ...options }, { signal: abort.signal })
    [Symbol.asyncIterator]();
  expect(await nextKind(stream)).toBe('start');
  const reading = (async () => {
    for await (const { event } of { [Symbol.asyncIterator]: () => stream }) {
      if (event.case === 'filesystem') seen.push(event.value);
    }
  })();
  await shell(line);
  await sleep(300);
  abort.abort();
  await reading.catch(() => undefined);
  return seen.map(
    (event) => `${EventType[event.type].toLowerCase()} ${event.name}${event.entry === undefined ? '' : ' +'}`,
  );
}

describe('one directory', () => {
  test('creating, writing, chmod, renaming and removing are reported', async () => {
    const events = await eventsOf('cd w; echo x > a; sleep 0.05; chmod 600 a; mv a b; rm b');
    expect(events).toEqual(['create a', 'write a', 'chmod a', 'rename a', 'create b', 'remove b']);
  });

  test('changes in subdirectories are not reported without recursive', async () => {
    expect(await eventsOf('echo x > w/sub/a')).toEqual([]);
  });

  test('an entry that moves out is renamed, and one that moves in is created', async () => {
    await shell('touch outside/in w/out');
    expect(await eventsOf('mv w/out outside/; mv outside/in w/')).toEqual(['rename out', 'create in']);
  });

  test('create, write and chmod events include the entry', async () => {
    const events = await eventsOf('echo x > w/a; sleep 0.1; chmod 600 w/a; sleep 0.1; rm w/a', { includeEntry: true });
    expect(events).toEqual(['create a +', 'write a +', 'chmod a +', 'remove a']);
  });

  test('the removal of the watched directory is reported', async () => {
    expect(await eventsOf('rm -r w; mkdir w')).toContain('remove .');
  });
});

describe('recursive', () => {
  test('existing and new directories are followed', async () => {
    const events = await eventsOf('echo x > w/sub/deep/a; mkdir w/new; sleep 0.1; echo x > w/new/b', {
      recursive: true,
    });
    expect(events).toEqual(['create sub/deep/a', 'write sub/deep/a', 'create new', 'create new/b', 'write new/b']);
  });

  test('files created before the watch is set are still reported', async () => {
    const events = await eventsOf('mkdir -p w/p/q/r; echo x > w/p/q/r/f', { recursive: true });
    expect(events).toEqual(expect.arrayContaining(['create p', 'create p/q', 'create p/q/r', 'create p/q/r/f']));
  });

  test('a moved directory is followed under its new name', async () => {
    const events = await eventsOf('mv w/sub w/moved; echo x > w/moved/deep/a', { recursive: true });
    expect(events).toEqual(['rename sub', 'create moved', 'create moved/deep/a', 'write moved/deep/a']);
  });

  test('a directory that left is no longer followed', async () => {
    const events = await eventsOf('mv w/sub outside/; sleep 0.3; echo x > outside/sub/a', { recursive: true });
    expect(events).toEqual(['rename sub']);
  });

  test('a directory created again under the same name is followed', async () => {
    const events = await eventsOf('rm -r w/sub; mkdir w/sub; sleep 0.1; echo x > w/sub/a', { recursive: true });
    expect(events.slice(-2)).toEqual(['create sub/a', 'write sub/a']);
  });

  test('links are not followed', async () => {
    const events = await eventsOf('ln -s ../outside w/link; sleep 0.1; echo x > outside/a', { recursive: true });
    expect(events).toEqual(['create link']);
  });
});

describe('polling', () => {
  test('a watcher collects events until it is removed', async () => {
    const { watcherId } = await clients.filesystem.createWatcher({ path: 'w', recursive: true });
    expect(watcherId).toMatch(/^w/);
    await shell('echo x > w/sub/a');
    await sleep(200);
    const { events } = await clients.filesystem.getWatcherEvents({ watcherId });
    expect(events.map((event) => event.name)).toEqual(['sub/a', 'sub/a']);
    expect((await clients.filesystem.getWatcherEvents({ watcherId })).events).toEqual([]);
    await clients.filesystem.removeWatcher({ watcherId });
    await expect(clients.filesystem.getWatcherEvents({ watcherId })).rejects.toMatchObject({ code: Code.NotFound });
    await expect(clients.filesystem.removeWatcher({ watcherId })).rejects.toMatchObject({ code: Code.NotFound });
  });

  test('too many events cause one error, then the watcher continues', async () => {
    const { watcherId } = await clients.filesystem.createWatcher({ path: 'w' });
    await shell('cd w; for i in $(seq 9000); do echo > $i; done');
    await sleep(300);
    const overflow = clients.filesystem.getWatcherEvents({ watcherId });
    await expect(overflow).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect((await clients.filesystem.getWatcherEvents({ watcherId })).events).toEqual([]);
    await clients.filesystem.removeWatcher({ watcherId });
  });

  test('the number of watchers is limited, and removed ones make room', async () => {
    const ids: string[] = [];
    const open = async () => ids.push((await clients.filesystem.createWatcher({ path: 'w' })).watcherId);
    const fill = async () => {
      for (let count = 0; count < 2000; count += 1) await open();
    };
    await expect(fill()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await Promise.all(ids.map(async (watcherId) => await clients.filesystem.removeWatcher({ watcherId })));
    await expect(clients.filesystem.createWatcher({ path: 'w' })).resolves.toBeDefined();
  });
});

test('new directories are still followed after lost events', async () => {
  const { watcherId } = await clients.filesystem.createWatcher({ path: 'w', recursive: true });
  // One process per file would take half a minute on a slow machine.
  const line = 'sleep 0.5; cd w; for i in $(seq 9000); do echo > f$i; done; rm f*; mkdir late; touch /tmp/flooded';
  const flood = shell(line);
  await sleep(200);
  // A stopped envd does not empty the kernel's queue of 16384 events.
  process.kill(envd.pid, 'SIGSTOP');
  try {
    const isFlooded = async () => await isFile(join(envd.upperDirectory, 'tmp/flooded'));
    await expect.poll(isFlooded, { timeout: 20_000 }).toBe(true);
  } finally {
    process.kill(envd.pid, 'SIGCONT');
  }
  await flood;
  await sleep(500);
  // The events queued before may also be too many.
  await clients.filesystem.getWatcherEvents({ watcherId }).catch(() => undefined);
  await shell('echo x > w/late/a');
  await sleep(300);
  const { events } = await clients.filesystem.getWatcherEvents({ watcherId });
  expect(events.map((event) => event.name)).toContain('late/a');
  await clients.filesystem.removeWatcher({ watcherId });
});

describe('paths that cannot be watched', () => {
  test.each([
    ['/nope', Code.NotFound],
    ['/etc/passwd', Code.InvalidArgument],
  ])('%s', async (path, code) => {
    await expect(clients.filesystem.createWatcher({ path })).rejects.toMatchObject({ code });
    await expect(clients.filesystem.watchDir({ path })[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code });
  });

  test('an unknown id of any form is rejected', async () => {
    for (const watcherId of ['', 'w', '../x', 'x'.repeat(10_000)]) {
      await expect(clients.filesystem.getWatcherEvents({ watcherId })).rejects.toMatchObject({ code: Code.NotFound });
    }
  });
});

test('keepalives are sent during silence', async () => {
  const abort = new AbortController();
  const options = { signal: abort.signal, headers: { 'keepalive-ping-interval': '1' } };
  const stream = clients.filesystem.watchDir({ path: 'w' }, options)[Symbol.asyncIterator]();
  expect([await nextKind(stream), await nextKind(stream)]).toEqual(['start', 'keepalive']);
  abort.abort();
});
