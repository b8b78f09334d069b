/** @module-tag violation */
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { hasValkey, startValkey } from '@soulbox/cache/testing';
import { runFolder } from '@soulbox/isolation';
import { userOf } from '@soulbox/process';
import { amendConditions, hasMoto, startFaultProxy, startMoto } from '@soulbox/storage/testing';
import type { FaultProxy } from '@soulbox/storage/testing';
import { isThere, listHostTraces, makeTestDirectory, startServer, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { socketAccess } from '@soulbox/vault';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { checkSandbox, connectionOf, fillSandbox } from '../harness/drill.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { pidOfPart } from '../harness/pid-of-part.ts';
import { programEveryMs, until } from '../harness/until.ts';

const instance = ownInstance();
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');

describe.skipIf(!isThere('moto', hasMoto) || !isThere('valkey-server', hasValkey))(
  'with a store that speaks the protocol of S3',
  () => {
    const parts = new AsyncDisposableStack();
    let settings: Record<string, string>;
    let folder: string;
    let proxy: FaultProxy;
    let server: ServerProcess;
    let sandbox: Sandbox;

    const soulbox = async (...args: string[]): Promise<Output> =>
      await runNode([cliMain, ...args], settings, '', 240_000);
    const status = async (): Promise<Output> =>
      await soulbox('storage', 'status', '--data-dir', server.dataDirectory, '--json');
    const pidOfObjects = async (): Promise<number> =>
      await until('the process runs', async () => await pidOfPart(server, 'objects'));

    beforeAll(async () => {
      const moto = parts.use(await startMoto());
      await fetch(`${moto.url}/bucket`, { method: 'PUT' });
      proxy = await startFaultProxy(moto.url, amendConditions);
      parts.defer(async () => await proxy[Symbol.asyncDispose]());
      const valkey = parts.use(await startValkey(['--requirepass', 'a password']));
      folder = await mkdtemp(join(tmpdir(), 'object-store-'));
      parts.defer(async () => await removeTree(folder));
      // The process of the store must reach the file.
      await chmod(folder, 0o711);
      settings = {
        SOULBOX_STORAGE: `s3://bucket/a/prefix?region=us-east-1&endpoint=${proxy.url}`,
        SOULBOX_STORAGE_CREDENTIALS_FILE: join(folder, 'credentials'),
        SOULBOX_STORAGE_KEY_FILE: join(folder, 'key'),
        SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
        SOULBOX_CACHE_MEMORY_MB: '16',
        SOULBOX_CACHE_REDIS: valkey.url,
        SOULBOX_CACHE_REDIS_CREDENTIALS_FILE: join(folder, 'redis'),
      };
      const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'not a secret' };
      await writeFile(join(folder, 'credentials'), JSON.stringify(credentials), { mode: 0o600 });
      await writeFile(join(folder, 'redis'), '{"password":"a password"}', { mode: 0o600 });
      await writeFile(join(folder, 'key'), (await soulbox('storage', 'key')).stdout, { mode: 0o600 });
      server = await startServer({ instance, poolSize: 0, environment: settings });
      sandbox = await Sandbox.create('base', { ...connectionOf(server), timeoutMs: 600_000 });
      await fillSandbox(sandbox);
    }, 300_000);
    afterAll(async () => {
      await server.stop();
      await removeTree(server.dataDirectory);
      await parts.disposeAsync();
      expect(await listHostTraces(instance)).toEqual([]);
    });

    test('the process that speaks to the store has no privileges and no keys', async () => {
      const pid = await pidOfObjects();
      const user = userOf(instance, 'objects');
      const facts = await readFile(`/proc/${pid}/status`, 'utf8');
      for (const line of [
        ...[`Uid:\t${user}\t${user}\t${user}\t${user}`, 'NoNewPrivs:\t1', 'Seccomp:\t2'],
        ...['CapPrm:\t0000000000000000', 'CapEff:\t0000000000000000', 'CapBnd:\t0000000000000000'],
      ])
        expect(facts).toContain(line);
      const key = (await readFile(join(folder, 'key'), 'utf8')).trim();
      for (const name of ['environ', 'cmdline'])
        expect(await readFile(`/proc/${pid}/${name}`, 'utf8')).not.toContain(key);
    });

    test('an upload survives the death of that process', async () => {
      await sandbox.pause();
      await until(
        'an upload is in progress',
        async () => (JSON.parse((await status()).stdout) as { state: string }).state === 'working',
      );
      const pid = await pidOfObjects();
      process.kill(pid, 'SIGKILL');
      await until('everything is uploaded', async () => (await status()).code === 0, 240_000, programEveryMs);
      expect(await pidOfObjects()).not.toBe(pid);
    }, 300_000);

    test('a chunk that is read twice comes from memory, and the operator sees it', async () => {
      const access = socketAccess(join(runFolder(instance), 'objects', 'objects.sock'));
      const { signal } = new AbortController();
      const { objects } = await access.list('servers/', undefined, signal);
      const chunk = objects.find(({ key }) => key.includes('/data/'))?.key ?? '';
      const [first, second] = [await access.get(chunk, signal), await access.get(chunk, signal)];
      expect(first?.bytes.length).toBeGreaterThan(0);
      expect(second?.bytes.equals(first?.bytes ?? Buffer.alloc(0))).toBe(true);
      const { cache } = JSON.parse((await status()).stdout) as { cache: { levels: object[]; sourceReads: number } };
      expect(cache).toMatchObject({
        levels: [
          { level: 'memory', hits: 1, misses: 1 },
          { level: 'redis', hits: 0, misses: 1, errors: 0, state: 'working' },
        ],
        sourceReads: 1,
      });
      const { stdout } = await soulbox('storage', 'status', '--data-dir', server.dataDirectory);
      expect(stdout).toMatch(/^Cache memory: 1 of 2 \(50 %\) objects/m);
    });

    test('what was uploaded is found on another host', async () => {
      // The records follow within seconds.
      const recovered = await until(
        'the sandbox is found',
        async () => {
          const target = await makeTestDirectory('object-store-s3-');
          parts.defer(async () => await removeTree(target));
          const { stdout } = await soulbox('storage', 'recover', '--data-dir', target, '--json');
          return stdout !== '' && (JSON.parse(stdout) as { sandboxes: number; lost: object[] });
        },
        120_000,
      );
      expect(recovered).toMatchObject({ sandboxes: 1, lost: [] });
    }, 300_000);

    test('while the store is away sandboxes resume and pause as before', async () => {
      proxy.use(() => ({ kind: 'refuse' }));
      const resumed = await Sandbox.connect(sandbox.sandboxId, connectionOf(server));
      await checkSandbox(resumed, sandbox.sandboxId);
      await resumed.pause();
      const { stdout } = await status();
      expect(JSON.parse(stdout)).toMatchObject({ wanted: 1, uploaded: 0 });
      await checkSandbox(await resumed.connect(), sandbox.sandboxId);
      await resumed.pause();
      proxy.use(() => undefined);
      await until('the store is caught up with', async () => (await status()).code === 0, 180_000, programEveryMs);
    }, 300_000);
  },
);
