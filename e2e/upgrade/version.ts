import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { testTemplatesDirectory } from '@soulbox/testing';
import type { Connection } from '../harness/drill.ts';

const readyTimeoutMs = 90_000;
const stopTimeoutMs = 60_000;

export interface RunningVersion {
  readonly connection: Connection;
  /** Resolves when the process has ended. With `keepSandboxes` the sandboxes continue. */
  stop(options: { keepSandboxes: boolean }): Promise<void>;
}

/** A server that refuses to start on a data folder, with its message. */
export class RefusedFolder extends Error {}

/** The place of a server of any version. */
export interface Place {
  readonly dataDirectory: string;
  readonly instance: number;
  readonly port: number;
}

/**
 * Starts the server of a checkout with its own command, the only thing that all versions share. Throws `RefusedFolder`.
 */
export async function startVersion(root: string, { dataDirectory, instance, port }: Place): Promise<RunningVersion> {
  const node = join(root, 'node_modules/node/bin/node');
  const command = join(root, 'apps/cli/src/main.ts');
  const where = ['--data-dir', dataDirectory];
  const ports = ['--port', String(port), '--tls-port', String(port + 1), '--instance', String(instance)];
  const { SOULBOX_TEMPLATES_DIR: _own, ...inherited } = process.env;
  const env = { ...inherited, SOULBOX_TEMPLATES_DIR: testTemplatesDirectory, SOULBOX_POOL_SIZE: '1' };
  const stdio = ['ignore', 'ignore', 'pipe'] as const;
  const child = spawn(node, [command, 'up', ...ports, ...where], { cwd: root, env, stdio: [...stdio] });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    said.push(chunk.toString());
    if (said.length > 200) said.shift();
  });
  const ended = once(child, 'exit');
  const giveUpAt = Date.now() + readyTimeoutMs;
  while (!(await isReady(dataDirectory, child.pid))) {
    if (child.exitCode !== null) throw new RefusedFolder(said.join(''));
    if (Date.now() > giveUpAt) {
      child.kill('SIGKILL');
      throw new Error(`The server of ${root} was not ready in time. It said:\n${said.join('')}`);
    }
    await sleep(50);
  }
  const variables = await run(node, [command, 'env', ...where], { cwd: root });
  const apiKey = /E2B_API_KEY='?([^'\n]+)/.exec(variables)?.[1] ?? '';
  const url = `http://127.0.0.1:${port}`;
  return {
    connection: { apiUrl: url, sandboxUrl: url, apiKey },
    async stop({ keepSandboxes }) {
      child.kill(keepSandboxes ? 'SIGUSR2' : 'SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await ended;
      clearTimeout(late);
    },
  };
}

async function isReady(dataDirectory: string, pid: number | undefined): Promise<boolean> {
  const text = await readFile(join(dataDirectory, 'run/server.json'), 'utf8').catch(() => '{}');
  try {
    const server = JSON.parse(text) as { state?: string; pid?: number };
    return server.state === 'ready' && server.pid === pid;
  } catch {
    // It is being written.
    return false;
  }
}
