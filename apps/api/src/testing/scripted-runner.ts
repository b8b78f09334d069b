import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { createClient, createRouterTransport } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError, createSandboxId, envdVersion } from '@soulbox/contract';
import {
  LogEntrySchema,
  MetricSchema,
  RunnerService,
  SandboxSchema,
  WatchEventsResponseSchema,
} from '@soulbox/contract/runner';
import type { CreateSandboxRequest, LogEntry, Metric, Sandbox, WatchEventsResponse } from '@soulbox/contract/runner';
import type { Runner } from '../context.ts';

type Event = WatchEventsResponse['event'];

/** A runner behind the real wire contract whose sandboxes are only told of. */
export interface ScriptedRunner {
  readonly client: Runner;
  readonly sandboxes: Map<string, Sandbox>;
  readonly creates: CreateSandboxRequest[];
  readonly logs: Map<string, LogEntry[]>;
  readonly metrics: Map<string, Metric[]>;
  /** Thrown by every call while it is set. */
  failure: unknown;
  /** Runs inside createSandbox, before the sandbox exists; a throw fails the create. */
  beforeCreate: () => Promise<void>;
  /** Streams of events that are open now. */
  watchers(): number;
  /** Makes a sandbox and tells nobody, as if it had been made while the control plane was away. */
  plant(sandbox: MessageInitShape<typeof SandboxSchema>): Sandbox;
  tell(event: Event): void;
  /** Ends a sandbox, as a deadline or a crash does. */
  end(sandboxId: string, cause: string): void;
  /** Breaks all streams of events. */
  cutStreams(): void;
}

export function createScriptedRunner(): ScriptedRunner {
  const streams = new Set<{ push: (event: Event | undefined) => void }>();
  const sandboxes = new Map<string, Sandbox>();
  const state: Pick<ScriptedRunner, 'failure' | 'beforeCreate'> = {
    failure: undefined,
    beforeCreate: () => Promise.resolve(),
  };
  const creates: CreateSandboxRequest[] = [];
  const logs = new Map<string, LogEntry[]>();
  const metrics = new Map<string, Metric[]>();

  const tell = (event: Event): void => {
    for (const stream of streams) stream.push(event);
  };
  const get = (sandboxId: string): Sandbox => {
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox !== undefined) return sandbox;
    throw connectErrorFromError(new SoulBoxError('sandbox_not_found', `no sandbox ${sandboxId}`));
  };
  const failIfTold = (): void => {
    if (state.failure !== undefined) throw state.failure as Error;
  };
  const plant = (sandbox: MessageInitShape<typeof SandboxSchema>): Sandbox => {
    const now = Date.now();
    const made = create(SandboxSchema, {
      sandboxId: createSandboxId(),
      templateId: 'tbase',
      alias: 'base',
      startedAt: timestampFromMs(now),
      endAt: timestampFromMs(now + 60_000),
      cpuCount: 2,
      memoryMb: 1024,
      diskSizeMb: 10_240,
      envdVersion,
      ...sandbox,
    });
    sandboxes.set(made.sandboxId, made);
    return made;
  };

  const transport = createRouterTransport(({ service }) => {
    service(RunnerService, {
      createSandbox: async (request) => {
        failIfTold();
        creates.push(request);
        await state.beforeCreate();
        const now = Date.now();
        const sandbox = plant({
          teamId: request.teamId,
          templateId: request.templateId,
          alias: request.alias,
          startedAt: timestampFromMs(now),
          endAt: timestampFromMs(now + request.timeoutSeconds * 1000),
          metadata: request.metadata,
          ...(request.network === undefined ? {} : { network: request.network }),
          envdAccessToken: request.secure ? 'access-token' : '',
          trafficAccessToken: request.network?.allowPublicTraffic === false ? 'traffic-token' : '',
        });
        tell({ case: 'created', value: { sandbox } as never });
        return { sandbox };
      },
      killSandbox: ({ sandboxId }) => {
        failIfTold();
        const existed = sandboxes.delete(sandboxId);
        if (existed) tell({ case: 'ended', value: { sandboxId, cause: 'killed' } as never });
        return { existed };
      },
      setDeadline: ({ sandboxId, endAt, onlyExtend }) => {
        failIfTold();
        const sandbox = get(sandboxId);
        const earlier = timestampMs(endAt ?? timestampFromMs(0)) < timestampMs(sandbox.endAt ?? timestampFromMs(0));
        if (endAt !== undefined && !(onlyExtend && earlier)) sandbox.endAt = endAt;
        tell({ case: 'updated', value: { sandbox } as never });
        return { sandbox };
      },
      getSandbox: ({ sandboxId }) => {
        failIfTold();
        return { sandbox: get(sandboxId) };
      },
      listSandboxes: () => ({ sandboxes: [...sandboxes.values()] }),
      getMetrics: ({ sandboxIds, start, end }) => {
        failIfTold();
        return {
          series: sandboxIds.flatMap((sandboxId) => {
            const all = metrics.get(sandboxId);
            if (all === undefined) return [];
            const chosen =
              start === undefined && end === undefined
                ? all.slice(-1)
                : all.filter(({ timestamp = timestampFromMs(0) }) => {
                    const at = timestampMs(timestamp);
                    return at >= timestampMs(start ?? timestamp) && at <= timestampMs(end ?? timestamp);
                  });
            return [{ sandboxId, metrics: chosen }];
          }),
        };
      },
      getLogs: ({ sandboxId }) => {
        failIfTold();
        get(sandboxId);
        return { entries: logs.get(sandboxId) ?? [] };
      },
      listTemplates: () => {
        failIfTold();
        return {
          templates: [
            { templateId: 'tbase', names: ['base'], cpuCount: 2, memoryMb: 1024, diskSizeMb: 10_240 },
            { templateId: 'tnameless', names: [], cpuCount: 1, memoryMb: 512, diskSizeMb: 1024 },
          ],
        };
      },
      watchEvents: async function* (_request, { signal }) {
        failIfTold();
        const queue: (Event | undefined)[] = [];
        let wake = (): void => undefined;
        const stream = {
          push: (event: Event | undefined) => {
            queue.push(event);
            wake();
          },
        };
        signal.addEventListener('abort', () => stream.push(undefined));
        for (const sandbox of sandboxes.values()) queue.push({ case: 'created', value: { sandbox } as never });
        queue.push({ case: 'snapshotDone', value: {} as never });
        streams.add(stream);
        try {
          for (;;) {
            while (queue.length > 0) {
              const event = queue.shift();
              if (event === undefined) return;
              yield create(WatchEventsResponseSchema, { event: event as never });
            }
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        } finally {
          streams.delete(stream);
        }
      },
    });
  });

  return Object.assign(state, {
    client: createClient(RunnerService, transport),
    sandboxes,
    creates,
    logs,
    metrics,
    watchers: () => streams.size,
    plant,
    tell,
    end: (sandboxId: string, cause: string) => {
      sandboxes.delete(sandboxId);
      tell({ case: 'ended', value: { sandboxId, cause } as never });
    },
    cutStreams: () => {
      for (const stream of streams) stream.push(undefined);
    },
  });
}

export function logEntry(atMs: number, level: string, message: string, fields: Record<string, string> = {}): LogEntry {
  return create(LogEntrySchema, { timestamp: timestampFromMs(atMs), level, logger: 'envd', message, fields });
}

export function metric(atMs: number, cpuUsedPct: number): Metric {
  return create(MetricSchema, {
    timestamp: timestampFromMs(atMs),
    cpuCount: 2,
    cpuUsedPct,
    memoryWorkingSetBytes: 1000n,
    memoryCacheBytes: 200n,
    memoryLimitBytes: 4000n,
    diskUsedBytes: 5n,
    diskTotalBytes: 6n,
    networkSentBytes: 7n,
    cpuUsedSeconds: 1.5,
  });
}
