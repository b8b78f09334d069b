import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { createAddressPlan } from '../address-plan.ts';
import type { AgentCommand } from './test-agent.ts';

/** A network namespace of a test with an agent in it. The namespace ends with that process. */
export interface LabNamespace {
  readonly pid: number;
  readonly path: string;
  ask(command: AgentCommand): Promise<string>;
  /** Runs `ip` inside, with batch lines. */
  ip(batch: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts an agent in a new network namespace. It belongs to a new user namespace, like that of a sandbox. */
export async function startLabNamespace(): Promise<LabNamespace> {
  const agent = fileURLToPath(new URL('./test-agent.ts', import.meta.url));
  const child = spawn('unshare', ['--user', '--map-root-user', '--net', process.execPath, agent], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('unshare did not start');
  const path = `/proc/${pid}/ns/net`;
  const waiting = new Map<number, (answer: string) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, answer } = JSON.parse(line) as { id: number; answer: string };
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  for (let tries = 0; readlinkSync(path) === readlinkSync('/proc/self/ns/net'); tries += 1) {
    if (tries > 500) throw new Error('the namespace did not come to be');
    await sleep(5);
  }
  let nextId = 0;
  return {
    pid,
    path,
    ask: async (command) =>
      await new Promise<string>((resolve) => {
        nextId += 1;
        waiting.set(nextId, resolve);
        child.stdin.write(`${JSON.stringify({ id: nextId, command })}\n`);
      }),
    ip: async (batch) => {
      await run('nsenter', [`--net=${path}`, 'ip', '-batch', '-'], { input: batch });
    },
    stop: async () => await stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/**
 * Connects a namespace to the host by a pair: `hostAddress` is the host's end, `addresses` (CIDR) are inside, and the
 * host has routes to them.
 */
export async function joinToHost(
  namespace: LabNamespace,
  name: string,
  hostAddress: string,
  addresses: readonly string[],
): Promise<void> {
  const [gateway = ''] = hostAddress.split('/');
  const routes = addresses.slice(1).map((address) => `route add ${address} dev ${name}`);
  await run('ip', ['-batch', '-'], {
    input: [
      `link add ${name} type veth peer name eth0 netns ${namespace.path}`,
      `addr add ${hostAddress} dev ${name}`,
      `link set ${name} up`,
      ...routes,
      '',
    ].join('\n'),
  });
  await namespace.ip(
    [
      'link set lo up',
      ...addresses.map((address) => `addr add ${address} dev eth0`),
      'link set eth0 up',
      `route add default via ${gateway}`,
      '',
    ].join('\n'),
  );
}

/**
 * The addresses, routes and packet filter rules of the instance on this host, to compare them before and after a test,
 * plus the list of the host's own tables. Those of other servers and tests on this host change meanwhile.
 */
export async function readHostNetwork(instance: number): Promise<string> {
  const listings = await Promise.all([
    run('ip', ['-brief', 'address']),
    run('ip', ['route']),
    run('ip', ['neigh', 'show', 'nud', 'permanent']),
  ]);
  // Matches interfaces of the instance and of its lab, and interfaces that are not virtual pairs.
  const isMeant = (line: string): boolean => {
    const [, device = ''] = /^([^ @]+)/.exec(/(?:^| dev )(\S+)/.exec(line)?.[1] ?? '') ?? [];
    return device.startsWith(`sb${instance}x`) || device.startsWith(`sl${instance}`) || /^(lo|en|eth)/.test(device);
  };
  const own = createAddressPlan(instance).egressAddress;
  const withoutOthers = (line: string): string =>
    line.replace(/10\.\d+\.255\.254\/32 ?/g, (address) => (address.startsWith(own) ? address : ''));
  const lines = listings.flatMap((listing) => listing.split('\n').filter(isMeant).map(withoutOthers));
  const tables = (await run('nft', ['list', 'tables'])).split('\n').map((line) => line.split(' '));
  for (const [, family = '', table = ''] of tables) {
    if (table === '' || (table.startsWith('soulbox') && table !== `soulbox_${instance}`)) continue;
    // Without set elements, because those of `flows` change with the connections. The table of another test may be gone
    // by now.
    lines.push(await run('nft', ['--terse', 'list', 'table', family, table]).catch(() => ''));
  }
  return lines.join('\n');
}
