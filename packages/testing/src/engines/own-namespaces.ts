import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';

/**
 * Namespaces for a separate engine: its bridge, firewall rules and mounts are not the host's, and end with it. (A
 * Docker daemon sets the host's FORWARD policy to DROP, which would cut off every sandbox.)
 */
export interface OwnNamespaces extends AsyncDisposable {
  /** Wraps a command so that it runs in them; costs about 2 ms. */
  enter(argv: readonly string[]): [string, ...string[]];
}

export async function openOwnNamespaces(): Promise<OwnNamespaces> {
  const holder = spawn('unshare', ['--net', '--mount', '--propagation', 'private', 'sleep', 'infinity'], {
    stdio: 'ignore',
  });
  await once(holder, 'spawn');
  const pid = String(holder.pid);
  const enter = (argv: readonly string[]): [string, ...string[]] => [
    'nsenter',
    '--net',
    '--mount',
    '--target',
    pid,
    '--',
    ...argv,
  ];
  await waitForUnshare(pid);
  const [program, ...args] = enter(['ip', 'link', 'set', 'lo', 'up']);
  await run(program, args);
  return {
    enter,
    async [Symbol.asyncDispose]() {
      holder.kill('SIGKILL');
      if (holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit');
    },
  };
}

/** `unshare` becomes `sleep` in its last step. */
async function waitForUnshare(pid: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if ((await run('cat', [`/proc/${pid}/comm`])).trim() === 'sleep') return;
    await sleep(10);
  }
  throw new Error('unshare did not make namespaces');
}
