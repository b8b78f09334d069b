/** @module-tag violation */
/** @module-tag long */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import {
  listHostTraces,
  makeTestDirectory,
  startServer,
  testDirectory,
  testTemplatesDirectory,
} from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../chaos/random.ts';
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
const residentMb = 60;
/** `FETCH_KILLS=100` is the long form. */
const kills = Number(process.env['FETCH_KILLS'] ?? '4');
const seed = Number(process.env['FETCH_SEED'] ?? Math.floor(Math.random() * 1e9));
/** A resume and the rest of the fetch take about as long. Milliseconds. */
const latestKillMs = 1500;

const program = `
import hashlib, http.server, os
pages = [os.urandom(1 << 20) for _ in range(${residentMb})]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        digest = hashlib.sha256()
        for page in pages: digest.update(page)
        body = digest.hexdigest().encode()
        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('0.0.0.0', ${port}), Answer).serve_forever()
`;

describe.skipIf(shared.isolation !== 'container')('processes that are killed while memory is fetched', () => {
  let folder: string;
  let sandboxId: string;
  let digest: string;

  const settingsFor = (store: string): Record<string, string> => ({
    SOULBOX_STORAGE: `file://${store}`,
    SOULBOX_STORAGE_KEY_FILE: join(folder, 'key'),
    SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
  });
  const start = async (store: string, dataDirectory?: string): Promise<ServerProcess> =>
    await startServer({
      ...{ instance, poolSize: 0, environment: settingsFor(store) },
      ...(dataDirectory !== undefined && { dataDirectory }),
    });
  const ask = async ({ clientEnvironment }: ServerProcess): Promise<string> => {
    const response = await fetch(`${clientEnvironment['E2B_SANDBOX_URL']}/`, {
      headers: { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(port) },
      // A program that waits for memory that never comes would not answer at all.
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    return response.status === 200 ? text : `status ${response.status}`;
  };
  const soulbox = async (store: string, ...args: string[]): Promise<Output> =>
    await runNode([cliMain, ...args], settingsFor(store), '', 240_000);

  beforeAll(async () => {
    folder = await mkdtemp(join(testDirectory, 'object-store-kills-'));
    const store = join(folder, 'store');
    await writeFile(join(folder, 'key'), (await soulbox(store, 'storage', 'key')).stdout, { mode: 0o600 });
    const server = await start(store);
    const sandbox = await Sandbox.create('base', { ...connectionOf(server), timeoutMs: 900_000 });
    ({ sandboxId } = sandbox);
    await sandbox.files.write('/tmp/program.py', program);
    const handle = await sandbox.commands.run('python3 /tmp/program.py', { background: true, timeoutMs: 0 });
    handle.wait().catch(() => undefined);
    await until('the program answers', async () => /^[0-9a-f]{64}$/.test(await ask(server)), 60_000);
    digest = await ask(server);
    await sandbox.pause();
    const isUploaded = async (): Promise<boolean> =>
      (await soulbox(store, 'storage', 'status', '--data-dir', server.dataDirectory)).code === 0;
    await until('everything is uploaded', isUploaded, 180_000);
    // The control plane uploads its records some seconds after they have changed.
    await sleep(10_000);
    await server.kill9();
    await removeTree(server.dataDirectory);
  }, 400_000);
  afterAll(async () => {
    await removeTree(folder);
    expect(await listHostTraces(instance)).toEqual([]);
  });

  test(
    `the sandbox has its memory after each of ${kills} kills, and nothing is left (seed ${seed})`,
    async () => {
      const random = createRandom(seed);
      for (let round = 0; round < kills; round++) {
        const store = join(folder, `store-${round}`);
        // Objects are only replaced and removed, never changed. They belong to the user of the process.
        await promisify(execFile)('cp', ['--archive', '--link', join(folder, 'store'), store]);
        const dataDirectory = await makeTestDirectory('object-store-kills-');
        const { code, stderr } = await soulbox(store, 'storage', 'recover', '--data-dir', dataDirectory);
        expect(code, stderr).toBe(0);
        const server = await start(store, dataDirectory);
        try {
          const afterMs = Math.floor(random.between(0, latestKillMs));
          const parts = (['runner', 'objects'] as const).filter(() => random.chance(0.6));
          const what = `round ${round}: ${parts.join(' and ')} killed after ${afterMs} ms`;
          const pids = await Promise.all(parts.map(async (part) => await pidOfPart(server, part)));
          const connect = async () => await Sandbox.connect(sandboxId, { ...connectionOf(server), timeoutMs: 900_000 });
          const first = connect().catch(() => undefined);
          await sleep(afterMs);
          for (const pid of pids) if (pid !== undefined) process.kill(pid, 'SIGKILL');
          await first;
          const hasMemory = async (): Promise<boolean> => {
            await connect();
            return (await ask(server)) === digest;
          };
          await until(what, async () => await hasMemory().catch(() => false), 90_000);
          const states = join(dataDirectory, 'states');
          const unfinished = async (): Promise<string[]> =>
            (await readdir(states)).filter((name) => /\.(?:arriving|draft|tmp)$/.test(name));
          await until(`${what}: all is here`, async () => (await unfinished()).length === 0, 60_000);
          expect(
            (await readdir(join(dataDirectory, 'sandboxes', sandboxId))).filter((name) => name.endsWith('.tmp')),
          ).toEqual([]);
          await Sandbox.kill(sandboxId, connectionOf(server));
          await until(`${what}: nothing is left`, async () => (await readdir(states)).length === 0, 60_000);
        } finally {
          await server.stop();
          await removeTree(dataDirectory);
          await removeTree(store);
        }
      }
    },
    Math.max(4, kills) * 240_000,
  );
});
