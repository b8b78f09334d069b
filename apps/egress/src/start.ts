import type { Transport } from '@connectrpc/connect';
import type { Logger } from '@soulbox/base';
import { createEgressRecords } from '@soulbox/contract/egress-record-service';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import { watchPolicies } from '@soulbox/egress-policies';
import { acceptConnections } from './connections/accept-connections.ts';
import type { FindDestination } from './connections/accept-connections.ts';
import { connectionLimits } from './connections/context.ts';
import type { ConnectionLimits } from './connections/context.ts';
import type { Interceptor } from './connections/interceptor.ts';
import { createStallBudget } from './connections/stall-budget.ts';
import { createConnectionLog } from './log/connection-log.ts';
import { createPolicyTable } from './policies/policy-table.ts';
import { createAnswerer } from './resolver/answer.ts';
import { createLookups } from './resolver/lookups.ts';
import { serveDns } from './resolver/serve-dns.ts';
import { createUpstream, parseNameServer } from './resolver/upstream.ts';
import { createDialer } from './upstream/dialer.ts';
import type { DialThroughProxy } from './upstream/dial.ts';

export interface EgressOptions {
  /** The address and ports to which the kernel redirects. Port 0 takes a free one. */
  readonly listen: { readonly address: string; readonly tcpPort: number; readonly dnsPort: number };
  /** Where the policies come from. */
  readonly runner: Transport;
  /** Where the log goes and the values of placeholders come from. */
  readonly control: Transport;
  /** `ADDRESS` or `ADDRESS:PORT` of the operator's name servers. */
  readonly nameServers: readonly string[];
  /** Whether any sandbox may reach this address. */
  readonly isOpen: (address: string) => boolean;
  readonly createInterceptor: (options: { resolve: EgressRecords['resolve']; logger: Logger }) => Interceptor;
  readonly dialThroughProxy: DialThroughProxy;
  readonly logger: Logger;
  readonly limits?: Partial<ConnectionLimits>;
  /** How long records of the log wait for more. Milliseconds, default 200. */
  readonly gatherMs?: number;
  /** Absent: the kernel tells where a connection went. Tests on loopback replace it. */
  readonly findDestination?: FindDestination;
}

export interface Egress extends AsyncDisposable {
  readonly tcpPort: number;
  readonly dnsPort: number;
  /** Resolves once the policies of the runner are known. Before, every packet is refused. */
  readonly fed: Promise<void>;
  readonly openConnections: () => number;
}

/** Starts everything. Rejects with Node's error if a port is in use. Disposing resets connections and sends the log. */
export async function startEgress(options: EgressOptions): Promise<Egress> {
  const { listen, logger, nameServers, isOpen, limits, dialThroughProxy } = options;
  await using started = new AsyncDisposableStack();
  const records = createEgressRecords(options.control);
  const log = started.use(createConnectionLog(records, logger, options.gatherMs));
  const table = createPolicyTable(logger);
  const ask = createUpstream(nameServers.map(parseNameServer));
  const lookups = started.use(createLookups({ ask, isOpen }));
  const dns = started.use(
    await serveDns(listen.address, listen.dnsPort, createAnswerer({ table, lookups, isOpen, log })),
  );
  const interceptor = started.use(
    options.createInterceptor({ resolve: async (request) => await records.resolve(request), logger }),
  );
  const connections = started.use(
    await acceptConnections(
      {
        ...{ table, isOpen, log, logger, interceptor, dial: createDialer({ lookups, isOpen, dialThroughProxy }) },
        ...{ stalls: createStallBudget(), limits: { ...connectionLimits, ...limits } },
      },
      { address: listen.address, port: listen.tcpPort },
      options.findDestination,
    ),
  );
  const watch = started.use(watchPolicies({ transport: options.runner, taker: table, logger }));
  table.onUsedUp(() => watch.report());
  const owned = started.move();
  return {
    ...{ tcpPort: connections.port, dnsPort: dns.port, fed: watch.fed, openConnections: connections.openConnections },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}
