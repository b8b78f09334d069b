import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId, removeTree } from '@soulbox/base';
import { buildEnvdBundle } from '../../build/build-bundle.ts';

/** The compiled envd in a root file system of its own. */
export interface TestEnvd extends AsyncDisposable {
  readonly baseUrl: string;
  readonly port: number;
  readonly hostToken: string;
  /** The upper layer: the files that the sandbox wrote, as seen from the host. */
  readonly upperDirectory: string;
  /** The pid of envd on the host. */
  readonly pid: number;
  /** POST /init with the host's token. Throws unless the answer is 204. */
  init(body: object): Promise<void>;
  /** POST /resumed in the same way. */
  resumed(body: object): Promise<void>;
}

const bundleCache = '/var/cache/soulbox-test/envd-bundle';
const script = fileURLToPath(new URL('sandbox.sh', import.meta.url));
const startTimeoutMs = 20_000;
const maxRuntimeAgeMs = 3_600_000;

/**
 * Builds envd if necessary and starts it over `lowerDirectory`, on a free port of the host's loopback, with additional
 * variables.
 */
export async function startEnvd(lowerDirectory: string, ...variables: string[]): Promise<TestEnvd> {
  const bundle = await buildEnvdBundle(bundleCache);
  await removeOldBundles(bundle.directory);
  const work = await mkdtemp(join(tmpdir(), 'soulbox-envd-'));
  const port = await findFreePort();
  const hostToken = randomId(32);
  const args = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    script,
    lowerDirectory,
    work,
    bundle.directory,
    String(port),
    hostToken,
    ...variables,
  ];
  const child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const closed = once(child, 'close');
  const baseUrl = `http://127.0.0.1:${port}`;
  const dispose = async (): Promise<void> => {
    // Killing the parent first would leave envd running, because a change of credentials clears its death signal.
    const init = await findChild(child.pid ?? 0);
    if (init !== undefined) process.kill(init, 'SIGKILL');
    else child.kill('SIGKILL');
    await closed;
    await removeTree(work);
  };
  const tell = async (path: string, body: object): Promise<void> => {
    const response = await fetch(`${baseUrl}${path}`, {
      method: 'POST',
      headers: { 'x-soulbox-host-token': hostToken },
      body: JSON.stringify(body),
    });
    if (response.status !== 204) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  };
  try {
    await waitUntilHealthy(baseUrl, () => {
      if (child.exitCode !== null) throw new Error(`envd ended: ${errors}`);
    });
    return {
      baseUrl,
      port,
      hostToken,
      upperDirectory: join(work, 'upper'),
      pid: (await findChild(child.pid ?? 0)) ?? 0,
      init: async (body) => await tell('/init', body),
      resumed: async (body) => await tell('/resumed', body),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Each change of the sources creates a folder of 112 MB. Folders of the last hour may still be in use. */
async function removeOldBundles(current: string): Promise<void> {
  for (const name of await readdir(bundleCache)) {
    const path = join(bundleCache, name);
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && path !== current && Date.now() - found.mtimeMs > maxRuntimeAgeMs) await removeTree(path);
  }
}

async function waitUntilHealthy(baseUrl: string, check: () => void): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    check();
    const response = await fetch(`${baseUrl}/health`).catch(() => undefined);
    if (response?.status === 204) return;
    if (Date.now() > deadline) throw new Error(`envd does not answer at ${baseUrl}`);
    await sleep(20);
  }
}

/** The host's pid of the first process in the namespace. Undefined if all have ended. */
async function findChild(pid: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children === '' ? undefined : Number(children.trim().split(' ')[0]);
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
