// Spares of templates that a team has built: docs/decisions/031.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, Template, waitForPort } from 'e2b';
import type { SandboxOpts } from 'e2b';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { until } from '../harness/until.ts';

let server: ServerProcess;
let connection: { apiKey: string; apiUrl: string; sandboxUrl: string };
beforeAll(async () => {
  server = await startServer({ instance: 2, poolSize: 1 });
  const {
    E2B_API_KEY: apiKey = '',
    E2B_API_URL: apiUrl = '',
    E2B_SANDBOX_URL: sandboxUrl = '',
  } = server.clientEnvironment;
  connection = { apiKey, apiUrl, sandboxUrl };
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
});

interface Spare {
  readonly sandboxId: string;
}

/** Restored sandboxes that wait for a tenant. */
async function findSpares(): Promise<Spare[]> {
  const folder = join(server.dataDirectory, 'sandboxes');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '{}')));
  const records = texts.map((text) => JSON.parse(text) as Spare & { state: string; tenant?: unknown });
  return records.filter(({ state, tenant }) => state === 'restoring' && tenant === undefined);
}

async function create(template: string, options: SandboxOpts = {}): Promise<Sandbox> {
  const sandbox = await Sandbox.create(template, { ...connection, ...options });
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

/** A program counts ten times a second from the start of the template on and serves its count on port 8000. */
const counter = `import http.server, threading, time
count = 0
def tick():
    global count
    while True:
        time.sleep(0.1); count += 1
threading.Thread(target=tick, daemon=True).start()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(count).encode())
http.server.HTTPServer(('', 8000), Handler).serve_forever()`;

const countIn = async (sandbox: Sandbox): Promise<number> =>
  Number((await sandbox.commands.run('curl -s localhost:8000')).stdout);

test('a spare waits without running, and belongs to its tenant alone when it is claimed', async () => {
  const name = `spares-${Date.now()}`;
  const template = Template()
    .fromBaseImage()
    .runCmd(`cat >/home/user/counter.py <<'END'\n${counter}\nEND`)
    .setStartCmd('python3 /home/user/counter.py', waitForPort(8000));
  await Template.build(template, name, { ...connection, cpuCount: 1, memoryMB: 256 });
  const first = await create(name);
  const before = await countIn(first);
  await create(name);
  await until('a spare', async () => (await findSpares()).length > 0, 30_000);
  await sleep(3000);
  const spares = new Set((await findSpares()).map(({ sandboxId }) => sandboxId));
  const claimed = await create(name, {
    ...{ allowInternetAccess: false, envs: { OWN: 'mine' }, metadata: { who: 'me' } },
  });
  expect(spares).toContain(claimed.sandboxId);
  // If it had run while it waited, the program would have counted thirty more.
  expect((await countIn(claimed)) - before).toBeLessThan(20);
  const told = await claimed.commands.run('echo $OWN $E2B_SANDBOX_ID; hostname; cat /run/soulbox/generation');
  const [variables, host, generation] = told.stdout.trim().split('\n');
  expect([variables, host]).toEqual([`mine ${claimed.sandboxId}`, claimed.sandboxId]);
  expect(generation).not.toBe((await first.commands.run('cat /run/soulbox/generation')).stdout.trim());
  expect((await claimed.getInfo()).metadata).toEqual({ who: 'me' });
  await expect(claimed.commands.run('curl -s -m 2 http://1.1.1.1', { timeoutMs: 20_000 })).rejects.toThrow();

  // It can be paused and restored like any other sandbox.
  await claimed.pause();
  expect(await countIn(await Sandbox.connect(claimed.sandboxId, connection))).toBeGreaterThan(before);
});

test('spares are removed with their template, and after a kill of the server', async () => {
  const name = `spares-${Date.now()}`;
  await Template.build(Template().fromBaseImage().runCmd('echo hi >/home/user/hi'), name, {
    ...{ ...connection, cpuCount: 1, memoryMB: 256 },
  });
  const early = [await create(name), await create(name)];
  await until('a spare', async () => (await findSpares()).length > 0, 30_000);
  await server.kill9();
  await server.restart();
  expect(await findSpares()).toEqual([]);
  const sandbox = await create(name);
  expect((await sandbox.commands.run('cat /home/user/hi')).stdout).toBe('hi\n');
  const other = await create(name);
  await until('another spare', async () => (await findSpares()).length > 0, 30_000);
  for (const used of [sandbox, other, ...early]) await used.kill();
  const response = await fetch(`${connection.apiUrl}/templates/${name}`, {
    ...{ method: 'DELETE', headers: { 'x-api-key': connection.apiKey } },
  });
  expect(response.status).toBeLessThan(300);
  await until('no spare', async () => (await findSpares()).length === 0, 30_000);
});
