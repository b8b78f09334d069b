import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createMemoryFs } from '../memory/memory-fs.ts';
import { holdMounts } from '../testing/hold-mounts.ts';
import { startMemory, whyNoMounts, type MemoryServer } from '../testing/start-memory.ts';
import { mountFs } from './mount-fs.ts';
import type { SessionStats } from './stats.ts';

const holder = join(import.meta.dirname, '../testing/hold_lock.py');

/** A process that waits for a lock or holds it. */
function startHolder(file: string, kind: 'flock' | 'fcntl'): ChildProcess & { readonly held: Promise<unknown> } {
  const child = spawn('/usr/bin/python3', [holder, file, kind], { stdio: ['pipe', 'pipe', 'inherit'] });
  return Object.assign(child, { held: once(child.stdout, 'data') });
}

async function statsOf(server: MemoryServer): Promise<readonly SessionStats[]> {
  return JSON.parse(await server.tell('stats')) as SessionStats[];
}

const waitingOf = async (server: MemoryServer): Promise<number | undefined> => (await statsOf(server))[1]?.waiting;

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;

describe.skipIf(whyNoMounts !== undefined)(`a mount${whyNoMounts ? ` (${whyNoMounts})` : ''}`, () => {
  test('shares files and locks with another mount of the same file system', async () => {
    await using server = await startMemory({ fs: { locks: true, ttlMs: 0 }, mount: { locks: true } }, 2);
    const [one, other] = server.mountPoints.map((folder) => join(folder, 'file')) as [string, string];
    writeFileSync(one, 'first');
    expect(readFileSync(other, 'utf8')).toBe('first');
    writeFileSync(other, 'second');
    expect(readFileSync(one, 'utf8')).toBe('second');

    for (const kind of ['flock', 'fcntl'] as const) {
      const first = startHolder(one, kind);
      await first.held;
      const [interrupted, next] = [startHolder(other, kind), startHolder(other, kind)];
      await until(async () => (await waitingOf(server)) === 2);
      // A signal takes back what waits in the file system.
      interrupted.kill('SIGTERM');
      expect(await once(interrupted, 'exit')).toEqual([null, 'SIGTERM']);
      await until(async () => (await waitingOf(server)) === 1);
      // The death of a holder gives its lock to the next.
      first.kill('SIGKILL');
      await next.held;
      next.stdin?.end();
      await once(next, 'exit');
    }
    expect((await statsOf(server)).map(({ inFlight, waiting, faults }) => ({ inFlight, waiting, faults }))).toEqual([
      { inFlight: 0, waiting: 0, faults: 0 },
      { inFlight: 0, waiting: 0, faults: 0 },
    ]);
  });

  test('is not unmounted while it is in use, and can be aborted', async () => {
    await using server = await startMemory();
    const [folder] = server.mountPoints as [string];
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub/file'), 'content');
    const fd = openSync(join(folder, 'sub/file'), 'r+');
    try {
      expect(await server.tell('unmount')).toMatch(/^error Error: umount .* busy/);
      expect(readFileSync(join(folder, 'sub/file'), 'utf8')).toBe('content');
      expect(await server.tell('abort')).toBe('aborted');
      expect(() => readFileSync(join(folder, 'sub/file'))).toThrow('ENOENT');
      let failure: unknown;
      try {
        writeSync(fd, 'late');
      } catch (error) {
        failure = codeOf(error);
      }
      expect(failure).toBe('ENOTCONN');
    } finally {
      closeSync(fd);
    }
  });

  test('does not end another mount that has got its number, when it is aborted after its end', async (context) => {
    const folders = await Promise.all([0, 1].map(async () => await mkdtemp(join(tmpdir(), 'fuse-test-'))));
    const [before = '', after = ''] = folders;
    const mounting = async (mountPoint: string) => await mountFs(createMemoryFs({}), { mountPoint });
    let hasMet = false;
    let isControlled = false;
    try {
      // The kernel gives a number that is free at once, unless another program of the host is faster.
      for (let attempt = 0; attempt < 20 && !hasMet; attempt += 1) {
        const gone = await mounting(before);
        await gone.unmount();
        await using next = await mounting(after);
        hasMet = next.connection === gone.connection;
        isControlled = existsSync(`/sys/fs/fuse/connections/${next.connection}/abort`);
        await gone.abort();
        await writeFile(join(after, 'file'), 'content');
        expect(await readFile(join(after, 'file'), 'utf8')).toBe('content');
      }
    } finally {
      for (const folder of folders) await rm(folder, { recursive: true });
    }
    if (!isControlled) context.skip('nothing is aborted by its number here, because fusectl is not mounted');
    if (!hasMet) context.skip('no mount got the number of the one before');
  });

  test('ends by an abort in every mount namespace, also after its unmount here', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fuse-test-'));
    try {
      await using session = await mountFs(createMemoryFs({}), { mountPoint: folder });
      await writeFile(join(folder, 'file'), 'content');
      await using holder = await holdMounts();
      const unmounted = session.unmount();
      expect(await holder.read(join(folder, 'file'))).toBe('content');
      await session.abort();
      await unmounted;
      expect(await holder.read(join(folder, 'file'))).toMatch(/not connected/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('can invalidate names of a folder that a request holds locked', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fuse-test-'));
    const program = join(import.meta.dirname, '../testing/notifying-server.ts');
    const server = spawn(process.execPath, ['--conditions=soulbox-source', program, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = on(createInterface({ input: server.stdout }), 'line');
      expect((await lines.next()).value).toEqual(['ready']);
      const made = spawn('mkdir', [join(folder, 'sub')], { stdio: 'inherit' });
      const exit = await Promise.race([once(made, 'exit'), sleep(5000, ['it hangs'])]);
      expect(exit).toEqual([0, null]);
      expect((await lines.next()).value).toEqual(['dropped']);
    } finally {
      // Nobody else has the device, so the kernel ends what waits.
      server.kill('SIGKILL');
      await once(server, 'exit');
      execFileSync('umount', ['--lazy', folder]);
      await rm(folder, { recursive: true });
    }
  });

  test('ends its process with an unmount, and reports what it did', async () => {
    await using server = await startMemory();
    const [folder] = server.mountPoints as [string];
    writeFileSync(join(folder, 'file'), Buffer.alloc(3_000_000, 'x'));
    const [stats] = await statsOf(server);
    expect(stats?.operations.write).toMatchObject({ count: 3, errors: 0 });
    expect(stats?.operations.create).toMatchObject({ count: 1 });
    expect(stats?.knownNodes).toBe(1);
    expect(await server.tell('unmount')).toBe('unmounted');
  });
});
