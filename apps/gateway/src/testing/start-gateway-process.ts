import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from '@soulbox/process/node-flags';
import type { GatewayConfig } from '../config.ts';

export interface GatewayProcessOptions {
  readonly config?: Partial<GatewayConfig>;
  /** Maps a port inside the sandbox to the port of a local server that stands in for it. */
  readonly ports?: Readonly<Record<number, number>>;
  /** The local port of a server that stands in for the API. */
  readonly apiPort?: number;
}

/** A gateway in a process of its own, with the flags of the real one: its memory depends on them. */
export interface GatewayProcess extends AsyncDisposable {
  readonly port: number;
  /** Its current memory, in MiB. */
  memoryMib(): number;
  descriptors(): number;
  /** The processor time that it has used. Unlike a duration, it does not depend on what else the host does. */
  processorMs(): number;
}

/** Linux shows processor times in hundredths of a second on every machine. */
const msPerTick = 10;

export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const program = fileURLToPath(new URL('gateway-process.ts', import.meta.url));
  const child = fork(program, [JSON.stringify(options)], { execArgv: [...nodeFlags], stdio: 'inherit' });
  const exited = once(child, 'exit');
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    port,
    memoryMib() {
      const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
      return Number(kib) / 1024;
    },
    descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length,
    processorMs() {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
      const [userTicks, systemTicks] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13);
      return (Number(userTicks) + Number(systemTicks)) * msPerTick;
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exited;
      clearTimeout(timer);
    },
  };
}
