import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';

const program = '/usr/bin/valkey-server';

/** Whether the Debian package valkey-server is installed. */
export const hasValkey = existsSync(program);

export interface TestValkey extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** `SIGKILL`, `SIGSTOP` or `SIGCONT`. */
  signal(name: NodeJS.Signals): void;
}

/** A server in memory. `flags` are settings such as `['--requirepass', 'x']`; a port can be used again. */
export async function startValkey(flags: readonly string[] = [], port?: number): Promise<TestValkey> {
  const own = port ?? (await findFreePort());
  const usesTls = flags.includes('--tls-port');
  const ports = usesTls ? ['--port', '0'] : ['--port', String(own)];
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no'];
  const filled = flags.map((flag) => (flag === 'PORT' ? String(own) : flag));
  const child = spawn(program, [...ports, ...settings, ...filled], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let isReady = false;
  for await (const line of createInterface({ input: child.stdout })) {
    isReady = line.includes('Ready to accept connections');
    if (isReady) break;
  }
  child.stdout.resume();
  if (!isReady) throw new Error('valkey-server did not start.');
  return {
    port: own,
    url: `${usesTls ? 'rediss' : 'redis'}://127.0.0.1:${own}`,
    signal: (name) => void child.kill(name),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** A port of the loopback interface that nobody uses. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
