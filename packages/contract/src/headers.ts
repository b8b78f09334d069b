/** Header names on the wire, in lower case as Node reports them. Sources: spec/SOURCES.md. */
export const headers = {
  apiKey: 'x-api-key',
  /** The team for which a person acts. */
  teamId: 'x-team-id',
  /** Proves that a request with the cookie of a session comes from a page of this server. */
  csrfToken: 'x-csrf-token',
  accessToken: 'x-access-token',
  sandboxId: 'e2b-sandbox-id',
  sandboxPort: 'e2b-sandbox-port',
  trafficAccessToken: 'e2b-traffic-access-token',
  nextToken: 'x-next-token',
  /** The start of the next page of events: the `after` or `offset` for the next request. */
  nextAfter: 'x-next-after',
  nextBefore: 'x-next-before',
  nextOffset: 'x-next-offset',
  totalRunning: 'x-total-running',
  keepalivePingInterval: 'keepalive-ping-interval',
  requestId: 'x-request-id',
  /** Ours: the reason of an error, in responses and in the metadata of Connect's errors. */
  reason: 'x-soulbox-reason',
  /** Of the trace to which a request belongs. */
  traceId: 'x-trace-id',
  /** Of draft-ietf-httpapi-idempotency-key-header. */
  idempotencyKey: 'idempotency-key',
  /** `true` if the response is that of an earlier request with the same key. */
  idempotentReplayed: 'idempotent-replayed',
  /** Ours: the isolation that a create or a build requests. */
  isolation: 'x-soulbox-isolation',
  /** Ours: the client's connection, by its address and port. The gateway sets it on requests to the API. */
  connection: 'x-soulbox-connection',
  /** Ours: `memory` keeps the log of a process off the disk of its sandbox. */
  processLog: 'x-soulbox-process-log',
  /** Ours: proves to envd that the runner is calling. The gateway strips it from every tenant's request. */
  hostToken: 'x-soulbox-host-token',
} as const;

/** The port on which envd listens inside every sandbox. */
export const envdPort = 49983;
/**
 * The port on which envd forwards connections of the host to ports that listen on loopback only, in sandboxes whose
 * loopback the host cannot dial. The first line names the port and the host token, and the answer is a word of
 * `forwardAnswers`. Then bytes pass in both directions.
 */
export const envdForwardPort = 49984;
/** Of an Upgrade with which the SSH process asks the gateway for a connection to a port of a sandbox. */
export const tunnelProtocol = 'soulbox-tcp';
/**
 * Header of such an Upgrade: a port of the sandbox that is closed to clients of the gateway while the connection lasts. An
 * SSH client has it forwarded to itself, and what listens there is its own.
 */
export const privatePortHeader = 'x-soulbox-private-port';
/** Both have the same length, so that reading the answer never consumes bytes that follow it. */
export const forwardAnswers = { open: 'open\n', closed: 'shut\n' } as const;
/** Reported as `envdVersion`. The official clients enable features by it (spec/SOURCES.md). */
export const envdVersion = '0.6.13';
