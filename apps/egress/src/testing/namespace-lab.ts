import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { addEgressRecords } from '@soulbox/contract/egress-record-service';
import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import { addPolicyRoutes, createPolicyFeed } from '@soulbox/egress-policies';
import type { PolicyFeed } from '@soulbox/egress-policies';
import { channelFd, openMessageChannel, reportSchema } from '@soulbox/process';
import { serveSocket } from '@soulbox/rpc';
import type { EgressProcessSettings } from '../run-egress.ts';
import type { NamespaceCommand } from './namespace-agent.ts';

export const sandboxAddress = '10.77.0.2';
export const outsideAddress = '203.0.113.10';
/** A second address outside, which no policy of the tests names. */
export const otherAddress = '203.0.113.11';
/** Connections to this port of the outside are translated by the kernel only, to compare. */
export const directPort = 9100;
const egressAddress = '10.77.255.254';
const egressUser = 1_999_999;

export interface NamespaceAgent {
  ask(command: NamespaceCommand): Promise<unknown>;
}

/**
 * The real process with its real privileges in a network namespace that stands for the host. A sandbox and the internet
 * are namespaces beside it, and the kernel redirects. The machine's own network is not touched.
 */
export interface NamespaceLab extends AsyncDisposable {
  readonly feed: PolicyFeed;
  readonly records: EgressRecord[];
  readonly sandbox: NamespaceAgent;
  readonly outside: NamespaceAgent;
  /** Kills the process, and starts another one. */
  restart(): Promise<void>;
  readonly pid: () => number;
}

export async function openNamespaceLab(): Promise<NamespaceLab> {
  await using opened = new AsyncDisposableStack();
  const agentFile = fileURLToPath(new URL('./namespace-agent.ts', import.meta.url));
  const startNamespace = async (program: readonly string[]): Promise<ChildProcess> => {
    const child = spawn('unshare', ['--net', ...program], { stdio: ['pipe', 'pipe', 'inherit'] });
    opened.defer(async () => await kill(child));
    const own = readlinkSync('/proc/self/ns/net');
    for (let tries = 0; readlinkSync(`/proc/${child.pid ?? 0}/ns/net`) === own; tries += 1) {
      if (tries > 500) throw new Error('the namespace did not come to be');
      await sleep(5);
    }
    return child;
  };
  const agent = [process.execPath, agentFile];
  const host = await startNamespace(['cat']);
  const sandboxChild = await startNamespace(agent);
  const outsideChild = await startNamespace(agent);
  await connectNamespaces(host.pid ?? 0, sandboxChild.pid ?? 0, outsideChild.pid ?? 0);
  const sandbox = agentOf(sandboxChild);
  const outside = agentOf(outsideChild);
  await outside.ask({ op: 'serveDns', host: outsideAddress, address: outsideAddress });
  for (const port of [80, 443, 9000, directPort])
    await outside.ask({ op: 'serve', host: '0.0.0.0', port, kind: 'greet' });
  for (const port of [9001, directPort + 1]) await outside.ask({ op: 'serve', host: '0.0.0.0', port, kind: 'sink' });

  const folder = await mkdtemp(join(tmpdir(), 'soulbox-egress-'));
  opened.defer(async () => await rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  const feed = opened.use(createPolicyFeed(silentLogger));
  const records: EgressRecord[] = [];
  const door = { name: 'test', admits: () => true };
  opened.use(
    await serveSocket({
      path: join(folder, 'runner.sock'),
      doors: [{ ...door, routes: (router) => addPolicyRoutes(router, feed) }],
      ...{ mode: 0o666, logger: silentLogger },
    }),
  );
  const take = async (list: readonly EgressRecord[]): Promise<void> => {
    await Promise.resolve();
    records.push(...list);
  };
  opened.use(
    await serveSocket({
      path: join(folder, 'control.sock'),
      doors: [
        {
          ...door,
          routes: (router) =>
            addEgressRecords(router, { record: take, resolve: () => Promise.resolve({}) }, silentLogger),
        },
      ],
      ...{ mode: 0o666, logger: silentLogger },
    }),
  );
  const settings: EgressProcessSettings & { logLevel: string } = {
    cell: { id: egressUser, root: folder, opensConnections: true },
    sockets: { runner: '/runner.sock', control: '/control.sock' },
    listen: { address: egressAddress, tcpPort: 5380, dnsPort: 5353 },
    ...{ nameServers: [outsideAddress], deniedRanges: [], logLevel: 'warn' },
  };
  let egress = await startProcess(host.pid ?? 0, settings);
  opened.defer(async () => await kill(egress));
  const owned = opened.move();
  return {
    ...{ feed, records, sandbox, outside },
    async restart() {
      await kill(egress);
      egress = await startProcess(host.pid ?? 0, settings);
    },
    pid: () => egress.pid ?? 0,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

async function startProcess(hostPid: number, settings: object): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  // Like the supervisor of a server.
  const launcher = fileURLToPath(import.meta.resolve('@soulbox/process/launch'));
  const program = [process.execPath, launcher, '1', main];
  const child = spawn('nsenter', [`--net=/proc/${hostPid}/ns/net`, ...program], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const ready = Promise.withResolvers<undefined>();
  const channel = openMessageChannel(child.stdio[channelFd] as Duplex, {
    messageMaxBytes: 2 ** 20,
    listener: {
      onMessage(message) {
        const report = reportSchema.parse(message);
        if (report.kind === 'loaded') channel.send({ kind: 'start', settings });
        else if (report.kind === 'ready') ready.resolve(undefined);
        else ready.reject(new Error(JSON.stringify(report)));
      },
      onEnd: () => ready.reject(new Error('the process has ended')),
    },
  });
  await ready.promise;
  return child;
}

/** Connects sandbox and outside to the host, which redirects as the runner's rules do. */
async function connectNamespaces(host: number, sandbox: number, outside: number): Promise<void> {
  const within = async (pid: number, program: string, args: readonly string[], input: string): Promise<void> => {
    await run('nsenter', [`--net=/proc/${pid}/ns/net`, program, ...args], { input });
  };
  const ip = async (pid: number, lines: readonly string[]): Promise<void> =>
    await within(pid, 'ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  await ip(host, [
    'link set lo up',
    `addr add ${egressAddress}/32 dev lo`,
    `link add tosandbox type veth peer name eth0 netns /proc/${sandbox}/ns/net`,
    `link add tooutside type veth peer name eth0 netns /proc/${outside}/ns/net`,
    'addr add 10.77.0.1/24 dev tosandbox',
    'addr add 203.0.113.1/24 dev tooutside',
    'link set tosandbox up',
    'link set tooutside up',
  ]);
  await ip(sandbox, [
    'link set lo up',
    `addr add ${sandboxAddress}/24 dev eth0`,
    'link set eth0 up',
    'route add default via 10.77.0.1',
  ]);
  await ip(outside, [
    'link set lo up',
    `addr add ${outsideAddress}/24 dev eth0`,
    `addr add ${otherAddress}/24 dev eth0`,
    'link set eth0 up',
  ]);
  await within(host, 'sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1'], '');
  await within(
    host,
    'nft',
    ['-f', '-'],
    `table inet lab {
  chain redirected { type nat hook prerouting priority dstnat;
    iifname != "tosandbox" return
    udp dport 53 dnat ip to ${egressAddress}:5353
    tcp dport 53 dnat ip to ${egressAddress}:5353
    tcp dport { ${directPort}, ${directPort + 1} } return
    meta l4proto tcp dnat ip to ${egressAddress}:5380
  }
  chain translated { type nat hook postrouting priority srcnat; oifname "tooutside" masquerade; }
}`,
  );
}

function agentOf(child: ChildProcess): NamespaceAgent {
  const waiting = new Map<number, (answer: unknown) => void>();
  if (child.stdout === null) throw new Error('the agent has no output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, answer } = JSON.parse(line) as { id: number; answer: unknown };
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  let last = 0;
  return {
    ask: async (command) =>
      await new Promise((resolve) => {
        last += 1;
        waiting.set(last, resolve);
        child.stdin?.write(`${JSON.stringify({ id: last, command })}\n`);
      }),
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
