import { createClients } from './clients.ts';
import { collectEvents, startLine } from './process-events.ts';
import type { Event, StartInit } from './process-events.ts';
import type { TestEnvd } from './start-envd.ts';
import { useEnvd } from './use-envd.ts';

/** The protocol of the clients, unless a test is about another one. */
export const http2 = { protocol: 'grpc', httpVersion: '2', useBinaryFormat: true } as const;

export interface StreamBench {
  readonly envd: () => TestEnvd;
  readonly clients: () => ReturnType<typeof createClients>;
  /** Starts a shell line. Returns the id. */
  readonly start: (line: string, options?: StartInit) => Promise<string>;
  /** Reads a process to its end. */
  readonly attach: (processId: string, options?: object) => Promise<Event[]>;
}

/** One envd for all tests of a file, with clients of soulbox.process.v1. */
export function useStreams(): StreamBench {
  const envd = useEnvd();
  let known: ReturnType<typeof createClients> | undefined;
  const clients = (): ReturnType<typeof createClients> => (known ??= createClients(envd().baseUrl, http2));
  return {
    ...{ envd, clients },
    start: async (line, options = {}) => await startLine(clients().streams, line, options),
    attach: async (processId, options = {}) => await collectEvents(clients().streams.attach({ processId, ...options })),
  };
}
