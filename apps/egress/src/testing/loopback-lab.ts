import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRouterTransport } from '@connectrpc/connect';
import { decode, encode } from 'dns-packet';
import type { DecodedPacket, RecordType } from 'dns-packet';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { NetworkPolicySchema } from '@soulbox/contract/runner';
import { silentLogger } from '@soulbox/base/logger';
import { addEgressRecords } from '@soulbox/contract/egress-record-service';
import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import { addPolicyRoutes, createPolicyFeed } from '@soulbox/egress-policies';
import type { Interceptor } from '../connections/interceptor.ts';
import { startEgress } from '../start.ts';
import type { Egress, EgressOptions } from '../start.ts';
import { startDnsStandIn } from './dns-stand-in.ts';
import type { DnsStandIn } from './dns-stand-in.ts';

/** Addresses of loopback that stand for the internet; all others are forbidden. */
const isInternet = (address: string): boolean => address.startsWith('127.50.');

export type LabPolicy = MessageInitShape<typeof NetworkPolicySchema>;

/** An egress process without the kernel's redirection: tests say where a connection went. */
export interface LoopbackLab extends AsyncDisposable {
  readonly egress: Egress;
  readonly dns: DnsStandIn;
  readonly records: EgressRecord[];
  /** Sets the policy of a sandbox, by its address. Resolves when it is in effect. */
  setPolicy(address: string, policy: LabPolicy, more?: { readonly sandboxId?: string }): Promise<void>;
  removePolicy(address: string): Promise<void>;
  /** Connects like a sandbox at this address, to `HOST:PORT`. */
  connect(from: string, to: string): Socket;
  lookup(from: string, name: string, type?: string): Promise<DecodedPacket & { rcode: string }>;
  /** Waits for a record that this accepts. */
  record(accept: (record: EgressRecord) => boolean): Promise<EgressRecord>;
  /** Starts a server of the internet on a port of 127.50.0.1. */
  serve(handle: (socket: Socket) => void, host?: string): Promise<number>;
}

export async function openLoopbackLab(
  options: Partial<EgressOptions> & { readonly interceptor?: Interceptor } = {},
): Promise<LoopbackLab> {
  await using opened = new AsyncDisposableStack();
  const dns = opened.use(await startDnsStandIn());
  const feed = opened.use(createPolicyFeed(silentLogger));
  const records: EgressRecord[] = [];
  const destinations = new Map<string, { address: string; port: number }>();
  const interceptor: Interceptor = options.interceptor ?? {
    intercept: () => Promise.reject(new Error('nothing is intercepted here')),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const egress = opened.use(
    await startEgress({
      listen: { address: '127.0.0.1', tcpPort: 0, dnsPort: 0 },
      runner: createRouterTransport((router) => addPolicyRoutes(router, feed)),
      control: createRouterTransport((router) =>
        addEgressRecords(
          router,
          {
            record: async (list) => {
              await Promise.resolve();
              records.push(...list);
            },
            resolve: () => Promise.resolve({}),
          },
          silentLogger,
        ),
      ),
      ...{ nameServers: [dns.address], gatherMs: 10, logger: silentLogger, isOpen: isInternet },
      createInterceptor: () => interceptor,
      dialThroughProxy: () => Promise.reject(new Error('there is no proxy here')),
      findDestination: (socket) => destinations.get(`${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`),
      ...options,
    }),
  );
  await egress.fed;
  let nextPort = 20_000 + Math.floor(Math.random() * 20_000);
  const servers: Server[] = [];
  const owned = opened.move();
  return {
    ...{ egress, dns, records },
    setPolicy: async (address, policy, { sandboxId = `sb-${address}` } = {}) =>
      await feed.put({ address, sandboxId, teamId: 'team', policy }),
    removePolicy: async (address) => await feed.remove(address),
    connect(from, to) {
      const [address = '', port = ''] = to.split(':');
      const localPort = (nextPort += 1);
      destinations.set(`${from}:${localPort}`, { address, port: Number(port) });
      const target = { host: '127.0.0.1', port: egress.tcpPort, localAddress: from, localPort };
      return connect({ ...target, allowHalfOpen: true }).on('error', () => undefined);
    },
    async lookup(from, name, type = 'A') {
      const socket = createSocket('udp4');
      socket.bind(0, from);
      await once(socket, 'listening');
      const query = { name, type: type as RecordType };
      socket.send(encode({ type: 'query', id: 7, flags: 0x0100, questions: [query] }), egress.dnsPort, '127.0.0.1');
      const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer];
      socket.close();
      return decode(reply) as DecodedPacket & { rcode: string };
    },
    async record(accept) {
      for (let tries = 0; tries < 200; tries += 1) {
        const found = records.find(accept);
        if (found !== undefined) return found;
        await sleep(25);
      }
      throw new Error(`no such record among ${JSON.stringify(records.slice(-5))}`);
    },
    async serve(handle, host = '127.50.0.1') {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => undefined);
        handle(socket);
      });
      servers.push(server);
      server.listen(0, host);
      await once(server, 'listening');
      return (server.address() as { port: number }).port;
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
      for (const server of servers) server.close();
    },
  };
}

/** All bytes until the end, or the code of the error that ended it. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  return await new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => resolve(text));
    socket.on('end', () => {
      socket.end();
      resolve(text);
    });
  });
}
