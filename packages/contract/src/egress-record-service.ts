import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import { errorFromUnknown, nearestCount } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { EgressRecordService } from '@soulbox/contract/control-egress';
import type { EgressConnection, EgressConnectionSchema } from '@soulbox/contract/control-egress';
import type { EgressReason } from './egress-reasons.ts';
import { controlAway, errorFromConnect } from './error-from-connect.ts';
import { connectErrorFromError } from './error-to-connect.ts';
import { errorForCaller } from './error-to-http.ts';

/** One connection, look-up or intercepted request of a sandbox, once it has ended or was refused. */
export interface EgressRecord {
  readonly sandboxId: string;
  readonly teamId: string;
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** `udp`, `icmp` and `other` only of what the packet filter has judged alone. */
  readonly protocol: 'tcp' | 'http' | 'tls' | 'dns' | 'udp' | 'icmp' | 'other';
  /** The host name that decided. Empty: none was seen. */
  readonly name: string;
  /** The address that was connected, or that a refused connection wanted. Empty for a look-up. */
  readonly address: string;
  readonly port: number;
  /** The entry of the policy that decided, as its creator wrote it. Empty: the default applied. */
  readonly rule: string;
  readonly isAllowed: boolean;
  /** Why it was refused or ended early. Empty: it ended normally. */
  readonly reason: EgressReason | '';
  /** Bytes that the sandbox sent and received. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Of an intercepted request; the path without its query. Otherwise empty. */
  readonly method: string;
  readonly path: string;
  /** Connections that this record stands for. Absent: one. */
  readonly count?: number;
}

/** Placeholders of header rules, for one connection of a sandbox. */
export interface PlaceholderRequest {
  readonly sandboxId: string;
  readonly teamId: string;
  /** The texts between `${` and `}`. */
  readonly placeholders: readonly string[];
  /** The host of the connection, as it was judged. The other side finds the rule that covers it. */
  readonly name: string;
  readonly identityTokens: Readonly<Record<string, { readonly audience: string; readonly tokenType: string }>>;
}

/** What the egress process asks of the control plane, which owns the records and the secrets. */
export interface EgressRecords {
  /** `dropped` counts the records that were lost since the last call. Throws `disk_full`. */
  record(records: readonly EgressRecord[], dropped: number): Promise<void>;
  /** Returns all values, by placeholder. Throws `secret_not_found`, `secret_host_refused` or `bad_request`. */
  resolve(request: PlaceholderRequest): Promise<Readonly<Record<string, string>>>;
}

const callMs = 10_000;

/** Serves these calls for the egress process. */
export function addEgressRecords(router: ConnectRouter, records: EgressRecords, logger: Logger): void {
  const translated = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (thrown) {
      const error = errorForCaller(errorFromUnknown(thrown));
      if (error.reason === 'internal') logger.error({ err: thrown }, 'call of the egress process failed');
      throw connectErrorFromError(error);
    }
  };
  router.service(EgressRecordService, {
    recordConnections: async ({ connections, dropped }) =>
      await translated(async () => {
        await records.record(connections.map(recordFromWire), Number(dropped));
        return {};
      }),
    resolvePlaceholders: async ({ sandboxId, teamId, placeholders, name, identityTokens }) =>
      await translated(async () => ({
        values: await records.resolve({ sandboxId, teamId, placeholders, name, identityTokens }),
      })),
  });
}

/** The client of these calls, for the egress process. Throws `control_unavailable` if the control plane is away. */
export function createEgressRecords(transport: Transport): EgressRecords {
  const client = createClient(EgressRecordService, transport);
  const translated = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (thrown) {
      throw errorFromConnect(thrown, controlAway);
    }
  };
  return {
    async record(records, dropped) {
      const message = { connections: records.map(recordToWire), dropped: BigInt(nearestCount(dropped)) };
      await translated(client.recordConnections(message, { timeoutMs: callMs }));
    },
    async resolve({ placeholders, identityTokens, ...request }) {
      const message = { ...request, placeholders: [...placeholders], identityTokens: { ...identityTokens } };
      const { values } = await translated(client.resolvePlaceholders(message, { timeoutMs: callMs }));
      return values;
    },
  };
}

/** Numbers that the wire does not have, such as a duration below 0 after the clock was set back, become the nearest. */
export function recordToWire(record: EgressRecord): MessageInitShape<typeof EgressConnectionSchema> {
  const { startedAtMs, durationMs, bytesSent, bytesReceived, count = 1, ...same } = record;
  return {
    ...same,
    startedAt: timestampFromMs(nearestCount(startedAtMs)),
    durationMs: BigInt(nearestCount(durationMs)),
    bytesSent: BigInt(nearestCount(bytesSent)),
    bytesReceived: BigInt(nearestCount(bytesReceived)),
    count: BigInt(nearestCount(count)),
  };
}

export function recordFromWire(wire: EgressConnection): EgressRecord {
  const { sandboxId, teamId, startedAt, name, address, port, rule, isAllowed, method, path } = wire;
  return {
    ...{ sandboxId, teamId, name, address, port, rule, isAllowed, method, path },
    startedAtMs: startedAt === undefined ? 0 : timestampMs(startedAt),
    durationMs: Number(wire.durationMs),
    // The other side is a process of the same server; the texts are from closed lists.
    protocol: wire.protocol as EgressRecord['protocol'],
    reason: wire.reason as EgressRecord['reason'],
    bytesSent: Number(wire.bytesSent),
    bytesReceived: Number(wire.bytesReceived),
    count: Math.max(Number(wire.count), 1),
  };
}
