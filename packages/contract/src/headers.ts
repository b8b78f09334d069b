/** Header names on the wire, lower-cased as Node gives them. Sources: spec/SOURCES.md. */
export const headers = {
  apiKey: 'x-api-key',
  accessToken: 'x-access-token',
  sandboxId: 'e2b-sandbox-id',
  sandboxPort: 'e2b-sandbox-port',
  trafficAccessToken: 'e2b-traffic-access-token',
  nextToken: 'x-next-token',
  totalRunning: 'x-total-running',
  keepalivePingInterval: 'keepalive-ping-interval',
  requestId: 'x-request-id',
  /** Ours: proves to envd that the runner calls. Stripped by the gateway from every tenant's request. */
  hostToken: 'x-soulbox-host-token',
} as const;

/** The port envd listens on inside every sandbox. */
export const envdPort = 49983;
/** Reported as `envdVersion`; the official clients turn features on by it (spec/SOURCES.md). */
export const envdVersion = '0.6.13';
