/** @module-tag violation */
/** @module-tag long */
import { chmod, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { amendConditions, hasMoto, startFaultProxy, startMoto } from '@soulbox/storage/testing';
import type { FaultProxy } from '@soulbox/storage/testing';
import { listHostTraces, makeTestDirectory, startServer, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { connectionOf } from '../harness/drill.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { pidOfPart } from '../harness/pid-of-part.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = ownInstance();
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const port = 8099;
const residentMb = 200;

/** Has different pages, answers on a port at once, and with a digest of all pages at another path. */
const program = `
import hashlib, http.server, os
pages = [os.urandom(1 << 20) for _ in range(${residentMb})]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        digest = hashlib.sha256()
        for page in pages if self.path == '/all' else pages[:1]: digest.update(page)
        body = digest.hexdigest().encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('0.0.0.0', ${port}), Answer).serve_forever()
`;

describe.skipIf(!hasMoto || shared.isolation !== 'container')('memory that only the object store has', () => {
  const parts = new AsyncDisposableStack();
  let settings: Record<string, string>;
  let folder: string;
  let proxy: FaultProxy;
  let server: ServerProcess;
  let sandboxId: string;
  let digests: Record<'/' | '/all', string>;

  const soulbox = async (...args: string[]): Promise<Output> =>
    await runNode([cliMain, ...args], settings, '', 240_000);
  const figures = async (): Promise<Record<string, number>> => {
    const { stdout } = await soulbox('storage', 'status', '--data-dir', server.dataDirectory, '--json');
    return stdout === '' ? {} : (JSON.parse(stdout) as Record<string, number>);
  };
  const untilUploaded = async (): Promise<void> => {
    const isUploaded = async (): Promise<boolean> =>
      (await soulbox('storage', 'status', '--data-dir', server.dataDirectory)).code === 0;
    await until('everything is uploaded', isUploaded, 180_000);
  };
  const start = async (dataDirectory?: string): Promise<void> => {
    server = await startServer({
      ...{ instance, poolSize: 0, environment: settings, ...(dataDirectory !== undefined && { dataDirectory }) },
    });
  };
  const ask = async (path: '/' | '/all'): Promise<string> => {
    const response = await fetch(`${server.clientEnvironment['E2B_SANDBOX_URL']}${path}`, {
      headers: { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(port) },
    });
    const text = await response.text();
    return response.status === 200 ? text : `status ${response.status}`;
  };
  const statesHere = async (): Promise<string[]> => await readdir(join(server.dataDirectory, 'states'));
  const isArriving = async (): Promise<boolean> => (await statesHere()).some((name) => name.endsWith('.arriving'));
  const refuse = () => ({ kind: 'refuse' }) as const;

  beforeAll(async () => {
    const moto = parts.use(await startMoto());
    await fetch(`${moto.url}/bucket`, { method: 'PUT' });
    proxy = await startFaultProxy(moto.url, amendConditions);
    parts.defer(async () => await proxy[Symbol.asyncDispose]());
    folder = await mkdtemp(join(tmpdir(), 'object-store-'));
    parts.defer(async () => await removeTree(folder));
    // The process of the store must reach the file.
    await chmod(folder, 0o711);
    settings = {
      SOULBOX_STORAGE: `s3://bucket?region=us-east-1&endpoint=${proxy.url}`,
      SOULBOX_STORAGE_CREDENTIALS_FILE: join(folder, 'credentials'),
      SOULBOX_STORAGE_KEY_FILE: join(folder, 'key'),
      SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
      SOULBOX_STORAGE_LOCAL_MB: '1',
    };
    const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'not a secret' };
    await writeFile(join(folder, 'credentials'), JSON.stringify(credentials), { mode: 0o600 });
    await writeFile(join(folder, 'key'), (await soulbox('storage', 'key')).stdout, { mode: 0o600 });
    await start();
    const sandbox = await Sandbox.create('base', { ...connectionOf(server), timeoutMs: 900_000 });
    ({ sandboxId } = sandbox);
    await sandbox.files.write('/tmp/program.py', program);
    const handle = await sandbox.commands.run('python3 /tmp/program.py', { background: true, timeoutMs: 0 });
    handle.wait().catch(() => undefined);
    await until('the program answers', async () => /^[0-9a-f]{64}$/.test(await ask('/')), 60_000);
    digests = { '/': await ask('/'), '/all': await ask('/all') };
    await sandbox.pause();
    await untilUploaded();
    // The control plane uploads its records some seconds after they have changed.
    await sleep(10_000);
    await server.kill9();
    const target = await makeTestDirectory('object-store-late-');
    const { code, stderr } = await soulbox('storage', 'recover', '--data-dir', target);
    expect(code, stderr).toBe(0);
    await removeTree(server.dataDirectory);
    await start(target);
  }, 400_000);
  afterAll(async () => {
    await server.stop();
    await removeTree(server.dataDirectory);
    await parts.disposeAsync();
    expect(await listHostTraces(instance)).toEqual([]);
  });

  test('a resume fails while the store is away, and the sandbox stays paused', async () => {
    expect(await statesHere()).toEqual([]);
    proxy.use(refuse);
    await expect(Sandbox.connect(sandboxId, { ...connectionOf(server), requestTimeoutMs: 120_000 })).rejects.toThrow();
    const info = await Sandbox.getInfo(sandboxId, connectionOf(server));
    expect(info.state).toBe('paused');
    proxy.use(() => undefined);
  }, 200_000);

  test('it answers before its memory is here, and waits for it over a killed runner and an absent store', async () => {
    await Sandbox.connect(sandboxId, { ...connectionOf(server), timeoutMs: 900_000, requestTimeoutMs: 60_000 });
    expect(await ask('/')).toBe(digests['/']);
    proxy.use(refuse);
    expect(await isArriving()).toBe(true);
    const pid = await until('the runner runs', async () => await pidOfPart(server, 'runner'));
    process.kill(pid, 'SIGKILL');
    await until('another runner runs', async () => ![undefined, pid].includes(await pidOfPart(server, 'runner')));
    let said = '';
    const asking = ask('/all').then((text) => (said = text));
    await sleep(3000);
    expect(said).toBe('');
    expect(await isArriving()).toBe(true);
    proxy.use(() => undefined);
    await asking;
    // A request is cut off when the runner is replaced, but never answered with other memory.
    await until('it answers', async () => (await ask('/all')) === digests['/all'], 60_000);
    await until('all of it is here', async () => !(await isArriving()), 60_000);
  }, 200_000);

  test(
    'what the store has is removed from the host, and fetched for the next resume',
    { tags: ['long'], timeout: 400_000 },
    async () => {
      await Sandbox.pause(sandboxId, connectionOf(server));
      await untilUploaded();
      await until('it is removed', async () => (await statesHere()).length === 0, 120_000);
      expect(await figures()).toMatchObject({ state: 'idle', evictions: 1 });
      await Sandbox.connect(sandboxId, { ...connectionOf(server), timeoutMs: 900_000, requestTimeoutMs: 60_000 });
      expect(await ask('/all')).toBe(digests['/all']);
    },
  );

  test(
    'copies of a snapshot begin before its memory is here, share one fetch, and can be paused',
    { tags: ['long'], timeout: 400_000 },
    async () => {
      const source = await Sandbox.connect(sandboxId, { ...connectionOf(server), timeoutMs: 900_000 });
      const { snapshotId } = await source.createSnapshot();
      await Sandbox.kill(sandboxId, connectionOf(server));
      await untilUploaded();
      await until('it is removed', async () => (await statesHere()).length === 0, 120_000);
      const before = await figures();
      const create = async () =>
        await Sandbox.create(snapshotId, { ...connectionOf(server), timeoutMs: 900_000, requestTimeoutMs: 120_000 });
      const copies = await Promise.all([create(), create()]);
      proxy.use(refuse);
      expect(await isArriving()).toBe(true);
      proxy.use(() => undefined);
      for (const copy of copies) {
        ({ sandboxId } = copy);
        expect(await ask('/all')).toBe(digests['/all']);
      }
      await until('all of it is here', async () => !(await isArriving()), 60_000);
      const { fetches = 0, fetchedBytes = 0 } = await figures();
      expect(fetches - (before['fetches'] ?? 0)).toBeLessThanOrEqual(3);
      expect(fetchedBytes - (before['fetchedBytes'] ?? 0)).toBeLessThan(2 * residentMb * 2 ** 20);
      await Sandbox.pause(sandboxId, connectionOf(server));
      await Sandbox.connect(sandboxId, connectionOf(server));
      expect(await ask('/all')).toBe(digests['/all']);
      for (const copy of copies) await copy.kill();
    },
  );
});
