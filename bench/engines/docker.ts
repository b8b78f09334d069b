import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { testDirectory } from '@soulbox/testing';
import {
  findMissing,
  openOwnNamespaces,
  packBaseRootfs,
  startContainer,
  timeFirstOutput,
} from '@soulbox/testing/engines';
import type { Engine, MissingEngine, OwnNamespaces } from '@soulbox/testing/engines';

const what = 'docker run, bridge network';
const image = 'soulbox-bench';
const startTimeoutMs = 30_000;
const importTimeoutMs = 300_000;

/** Starts a separate Docker daemon, independent of any on the host: own data, socket and namespaces. */
export async function openDocker(): Promise<Engine | MissingEngine> {
  const missing = await findMissing(['dockerd', 'docker', 'containerd']);
  if (missing.length > 0) return { what, skipped: `not installed: ${missing.join(', ')}` };
  await using cleanup = new AsyncDisposableStack();
  const scratch = await mkdtemp(join(testDirectory, 'bench-docker-'));
  cleanup.defer(async () => {
    await run('rm', ['-rf', '--one-file-system', scratch]);
  });
  const namespaces = cleanup.use(await openOwnNamespaces());
  const socket = `unix://${join(scratch, 'docker.sock')}`;
  const docker = (...args: string[]): [string, ...string[]] => ['docker', '--host', socket, ...args];
  const logFile = join(scratch, 'dockerd.log');
  cleanup.use(await startDaemon(namespaces, scratch, socket, logFile));
  try {
    await waitForDaemon(docker('version'));
  } catch {
    const lastLine = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1) ?? '';
    return { what, skipped: `dockerd did not start here: ${lastLine}` };
  }
  const archive = join(scratch, 'rootfs.tar');
  await packBaseRootfs(archive);
  const [program, ...args] = docker('import', archive, image);
  await run(program, args, { timeoutMs: importTimeoutMs });
  const parts = cleanup.move();
  return {
    what,
    firstOutputMs: async () => await timeFirstOutput(docker('run', '--rm', image, '/bin/bash', '-c', 'echo ready')),
    startContainer: async () => await startContainer('docker', image, docker),
    [Symbol.asyncDispose]: async () => {
      await parts.disposeAsync();
    },
  };
}

async function startDaemon(
  namespaces: OwnNamespaces,
  scratch: string,
  socket: string,
  logFile: string,
): Promise<AsyncDisposable> {
  // An empty configuration: the host's may name plugins, runtimes and ports.
  const config = join(scratch, 'daemon.json');
  await writeFile(config, '{}');
  const log = await open(logFile, 'a');
  const [program, ...args] = namespaces.enter([
    ...['dockerd', '--config-file', config, '--host', socket, '--pidfile', join(scratch, 'pid')],
    ...['--data-root', join(scratch, 'data'), '--exec-root', join(scratch, 'exec')],
  ]);
  const daemon = spawn(program, args, { stdio: ['ignore', log.fd, log.fd] });
  await log.close();
  return {
    async [Symbol.asyncDispose]() {
      daemon.kill('SIGTERM');
      if (daemon.exitCode === null && daemon.signalCode === null) await once(daemon, 'exit');
    },
  };
}

async function waitForDaemon([client, ...args]: readonly [string, ...string[]]): Promise<void> {
  const giveUpAt = Date.now() + startTimeoutMs;
  for (;;) {
    try {
      await run(client, args);
      return;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await sleep(100);
    }
  }
}
