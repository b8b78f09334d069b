/** Header names on the wire, lower-cased as Node gives them. Sources: spec/SOURCES.md. */
export const headers = {
  apiKey: 'x-api-key',
  accessToken: 'x-access-token',
  sandboxId: 'e2b-sandbox-id',
  sandboxPort: 'e2b-sandbox-port',
  trafficAccessToken: 'e2b-traffic-access-token',
  nextToken: 'x-next-token',
  /** Where the next page of events begins: the `after`, or the `offset`, to ask with. */
  nextAfter: 'x-next-after',
  nextOffset: 'x-next-offset',
  totalRunning: 'x-total-running',
  keepalivePingInterval: 'keepalive-ping-interval',
  requestId: 'x-request-id',
  /** Ours: the wall that a create or a build asks for. */
  isolation: 'x-soulbox-isolation',
  /** Ours: proves to envd that the runner calls. Stripped by the gateway from every tenant's request. */
  hostToken: 'x-soulbox-host-token',
} as const;

/** The port envd listens on inside every sandbox. */
export const envdPort = 49983;
/**
 * Where envd takes connections of the host to ports that only listen on loopback, in sandboxes whose loopback the host cannot
 * dial. The first line names port and host token, the answer is a word of `forwardAnswers`; then bytes go both ways.
 */
export const envdForwardPort = 49984;
/** Of one length, so that nothing of what follows is read with them. */
export const forwardAnswers = { open: 'open\n', closed: 'shut\n' } as const;
/** Reported as `envdVersion`; the official clients turn features on by it (spec/SOURCES.md). */
export const envdVersion = '0.6.13';
