import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { createClient, createRouterTransport } from '@connectrpc/connect';
import type { HandlerContext } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { createSandboxId, envdVersion } from '@soulbox/contract';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { RunnerService, SandboxSchema, SandboxState } from '@soulbox/contract/runner';
import type {
  CreateSandboxRequest,
  LogEntry,
  CustomSeries,
  Metric,
  MetricPoint,
  NetworkPolicy,
  Sandbox,
  Snapshot,
} from '@soulbox/contract/runner';
import type { Runner } from '../runner/client.ts';
import { createScriptedBuilds } from './scripted-builds.ts';
import type { ScriptedBuild } from './scripted-builds.ts';
import { createScriptedConnections } from './scripted-connections.ts';
import type { ScriptedConnections } from './scripted-connections.ts';
import { createScriptedEvents } from './scripted-events.ts';
import type { ScriptedEvent } from './scripted-events.ts';
import { exportCalls } from './scripted-exports.ts';
import { runCalls } from './scripted-runs.ts';
import { createScriptedUsage } from './scripted-usage.ts';
import type { ScriptedUsage } from './scripted-usage.ts';
import { moveTo, stateCalls, withOwn } from './scripted-states.ts';
import { operationTime } from './observed.ts';
import type { Limited } from './scripted-states.ts';

/** A runner behind the real wire contract. Its sandboxes only exist in its answers. */
export interface ScriptedRunner {
  readonly client: Runner;
  readonly sandboxes: Map<string, Sandbox>;
  /** Ids that are missing at the start of the event stream, as when it starts in the middle of a step. */
  readonly hidden: Set<string>;
  readonly creates: CreateSandboxRequest[];
  /** Policies of changes, in order. */
  readonly policies: NetworkPolicy[];
  /** Id of the template with the name `base`. */
  baseId: string;
  /** The times at which its templates were listed. */
  readonly lists: readonly number[];
  readonly logs: Map<string, LogEntry[]>;
  readonly metrics: Map<string, Metric[]>;
  /** What programs in a sandbox report. */
  readonly custom: Map<string, CustomSeries[]>;
  /** Answers to requests for points, by sandbox and step in seconds: `i1 60`. */
  readonly points: Map<string, MetricPoint[]>;
  readonly snapshots: Map<string, Snapshot>;
  /** Imports whose sender said that it is still there. */
  readonly importsKept: string[];
  /** Started builds by the runner's id; the test controls them. */
  readonly builds: ReadonlyMap<string, ScriptedBuild>;
  /** Calls about states and deadlines in order, with their requests and their timeouts. */
  readonly stateRequests: { readonly call: string; readonly request: object; readonly timeoutMs: number | undefined }[];
  /** The host resources that every team uses. */
  readonly usage: { diskBytes: bigint; pausedMemoryBytes: bigint };
  /** What sandboxes have used, and who may not run. */
  readonly used: ScriptedUsage;
  /** What sandboxes have connected to, and the orders of those who asked. */
  readonly connections: ScriptedConnections;
  /** The part of the host's disk that is neither reserved nor promised. */
  roomBytes: number;
  /** Exports have so many more blocks, which do not compress. */
  exportedMore: number;
  /** Thrown by every call while it is set. */
  failure: unknown;
  /** Called in each call about states before anything is done; a throw fails the call. */
  beforeStep: (call: string) => Promise<void>;
  /** The number of failing copies of a fork, counted from the last. */
  failingForks: number;
  /** Called in createSandbox before the sandbox exists; a throw fails the create. */
  beforeCreate: () => Promise<void>;
  /** The number of open event streams. */
  watchers(): number;
  /** Creates a sandbox without an event, as if it had been created while the control plane was away. */
  plant(sandbox: MessageInitShape<typeof SandboxSchema>): Sandbox;
  tell(event: ScriptedEvent): void;
  /** Ends a sandbox, like a deadline or a crash. */
  end(sandboxId: string, cause: string): void;
  /** Pauses or resumes a sandbox, like a deadline or traffic. `silently`: as if the control plane were away. */
  move(sandboxId: string, state: 'paused' | 'running', cause: string, silently?: 'silently'): void;
  /** Breaks all streams of events. */
  cutStreams(): void;
}

export function createScriptedRunner(): ScriptedRunner {
  const events = createScriptedEvents();
  const { tell } = events;
  const sandboxes = new Map<string, Sandbox>();
  const hidden = new Set<string>();
  const state: Pick<
    ScriptedRunner,
    'failure' | 'beforeCreate' | 'beforeStep' | 'failingForks' | 'roomBytes' | 'exportedMore' | 'baseId'
  > = {
    roomBytes: Infinity,
    exportedMore: 0,
    baseId: 'tbase',
    failure: undefined,
    beforeCreate: () => Promise.resolve(),
    beforeStep: () => Promise.resolve(),
    failingForks: 0,
  };
  const snapshots = new Map<string, Snapshot>();
  const importsKept: string[] = [];
  const usage = { diskBytes: 0n, pausedMemoryBytes: 0n };
  const stateRequests: ScriptedRunner['stateRequests'] = [];
  const creates: CreateSandboxRequest[] = [];
  const policies: NetworkPolicy[] = [];
  const lists: number[] = [];
  const made: string[] = [];
  const used = createScriptedUsage();
  const connections = createScriptedConnections();
  const logs = new Map<string, LogEntry[]>();
  const metrics = new Map<string, Metric[]>();
  const points = new Map<string, MetricPoint[]>();
  const custom = new Map<string, CustomSeries[]>();

  const get = (sandboxId: string): Sandbox => {
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox !== undefined) return sandbox;
    throw connectErrorFromError(new SoulBoxError('sandbox_not_found', `no sandbox ${sandboxId}`));
  };
  const failIfTold = (): void => {
    if (state.failure !== undefined) throw state.failure as Error;
  };
  const enter = async (call: string, request: object, context: HandlerContext): Promise<void> => {
    failIfTold();
    stateRequests.push({ call, request, timeoutMs: context.timeoutMs() });
    await state.beforeStep(call);
  };
  const overLimit = (): Error =>
    connectErrorFromError(new SoulBoxError('limit_exceeded', 'The team is over its limit.'));
  const checkDisk = ({ teamLimits }: Limited): void => {
    if (teamLimits !== undefined && usage.diskBytes >= teamLimits.diskBytes) throw overLimit();
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
      state: SandboxState.RUNNING,
      isolation: 'container',
      cause: 'request',
      ...sandbox,
    });
    made.stateSince ??= made.startedAt ?? timestampFromMs(now);
    sandboxes.set(made.sandboxId, made);
    return made;
  };

  const builds = createScriptedBuilds(snapshots);

  const states = stateCalls({
    snapshots,
    get,
    plant,
    tell: (name, value) => tell({ case: name, value: structuredClone(value) } as ScriptedEvent),
    enter,
    checkDisk,
    checkPausedMemory: ({ teamLimits }) => {
      if (teamLimits !== undefined && usage.pausedMemoryBytes >= teamLimits.pausedMemoryBytes) throw overLimit();
    },
    failingForks: () => state.failingForks,
    madeBy: (id) => (id === '' ? [] : [...sandboxes.values()].filter(({ creationId }) => creationId === id)),
  });

  const transport = createRouterTransport(({ service }) => {
    service(RunnerService, {
      ...states,
      ...runCalls(),
      ...exportCalls({
        ...{ snapshots, importsKept, failIfTold },
        hasSource: (id) => sandboxes.has(id) || snapshots.has(id),
        more: () => state.exportedMore,
      }),
      runBuild: builds.runBuild,
      createSandbox: async (request) => {
        failIfTold();
        checkDisk(request);
        creates.push(request);
        const present = [...sandboxes.values()].find(
          ({ creationId }) => creationId !== '' && creationId === request.creationId,
        );
        if (present !== undefined) return { sandbox: present };
        if (request.templateName === 'base' && request.templateId !== state.baseId)
          throw connectErrorFromError(new SoulBoxError('template_not_found', 'no such template'));
        await state.beforeCreate();
        const now = Date.now();
        const sandbox = plant({
          ...{ teamId: request.teamId, keyId: request.keyId, creationId: request.creationId },
          templateId: request.templateId,
          alias: request.alias,
          startedAt: timestampFromMs(now),
          endAt: timestampFromMs(now + request.timeoutSeconds * 1000),
          metadata: request.metadata,
          ...(request.network === undefined ? {} : { network: request.network }),
          envdAccessToken: request.secure ? 'access-token' : '',
          trafficAccessToken: request.network?.allowPublicTraffic === false ? 'traffic-token' : '',
          ...(request.lifecycle === undefined ? {} : { lifecycle: request.lifecycle }),
          volumes: withOwn(snapshots.get(request.snapshotId)?.volumes ?? request.volumes, request.ownVolumes),
          isolation: request.isolation === '' ? 'container' : request.isolation,
          cause: request.snapshotId === '' ? 'request' : 'snapshot',
        });
        tell({ case: 'created', value: { sandbox } as never });
        return { sandbox, operations: [operationTime('create', { take: 1.5, confirm: 20 })] };
      },
      killSandbox: async (request, context) => {
        await enter('killSandbox', request, context);
        const { sandboxId } = request;
        const existed = sandboxes.delete(sandboxId);
        if (existed) tell({ case: 'ended', value: { sandboxId, cause: 'killed' } as never });
        return { existed };
      },
      setDeadline: async (request, context) => {
        await enter('setDeadline', request, context);
        const sandbox = get(request.sandboxId);
        // Keeping a later end is the runner's task. The request shows whether that was asked for.
        if (request.endAt !== undefined) sandbox.endAt = request.endAt;
        tell({ case: 'updated', value: { sandbox } as never });
        return { sandbox };
      },
      setNetworkPolicy: ({ sandboxId, policy }) => {
        const sandbox = get(sandboxId);
        if (policy !== undefined) {
          policies.push(policy);
          sandbox.network = policy;
        }
        return { sandbox };
      },
      getSandbox: ({ sandboxId }) => {
        failIfTold();
        return { sandbox: get(sandboxId) };
      },
      listSandboxes: () => ({ sandboxes: [...sandboxes.values()] }),
      getTeamUsage: () => usage,
      settleUsage: (request) => {
        failIfTold();
        return used.settle(request);
      },
      takeConnections: (order) => {
        failIfTold();
        return connections.take(order);
      },
      getPhases: () =>
        Promise.resolve({
          boundsSeconds: [0.01, 0.1],
          series: [{ operation: 'resume', phase: 'restore', counts: [1n, 2n], total: 4n, sumSeconds: 1.5 }],
          caches: [{ name: 'build_step', hits: 6n, misses: 2n }],
        }),
      getPool: () =>
        Promise.resolve({ ready: 3, wanted: 4, booting: 1, waiting: 2, failedBoots: 5n, served: 8n, waited: 1n }),
      getProcess: () => ({
        ...{ residentMemoryBytes: 7_000_000n, openDescriptors: 9, droppedLogLines: 2n },
        ...{ hostLoad1: 1.5, hostCpus: 2, hostMemoryAvailableBytes: 3000n, hostMemoryTotalBytes: 4000n },
      }),
      getHostDisk: () =>
        Promise.resolve({
          ...{ totalBytes: 1000n, freeBytes: 600n, reserveBytes: 100n, committedBytes: 200n, toldBytes: 4500n },
          ...{ overcommit: 40, disks: 3, stopped: 1 },
        }),
      getStorage: () =>
        Promise.resolve({
          figures: {
            ...{ state: 'away', reason: 'The store is away.', wanted: 3, uploaded: 2, pendingBytes: 1000n },
            ...{ uploads: 5n, uploadedBytes: 7000n, failures: 1n, localBytes: 9000n, evictions: 2n },
            ...{ evictedBytes: 800n, fetches: 3n, fetchedBytes: 600n, fetchFailures: 4n },
            notUploaded: [{ what: 'sandbox', id: 'i1', state: 'failed', reason: 'why' }],
          },
        }),
      async *holdHostRoom({ bytes, what }, { signal }) {
        const size = Number(bytes);
        if (size > state.roomBytes)
          throw connectErrorFromError(new SoulBoxError('disk_full', `${what} may take ${size} bytes.`));
        state.roomBytes -= size;
        const ended = once(signal, 'abort').then(() => (state.roomBytes += size));
        yield {};
        await ended;
      },
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
      getMetricPoints: ({ sandboxId, stepSeconds, start, end }) => {
        failIfTold();
        const inSpan = ({ timestamp }: MetricPoint): boolean => {
          const at = timestamp === undefined ? 0 : timestampMs(timestamp);
          return (
            at >= timestampMs(start ?? timestampFromMs(0)) && at <= (end === undefined ? Infinity : timestampMs(end))
          );
        };
        return { points: (points.get(`${sandboxId} ${stepSeconds}`) ?? []).filter(inSpan) };
      },
      getCustomMetrics: ({ sandboxId }) => {
        failIfTold();
        const faults = custom.has(sandboxId) ? ['a.prom: line 3: no valid value'] : [];
        return { series: custom.get(sandboxId) ?? [], rejected: faults.length, faults };
      },
      listCustomMetrics: ({ sandboxIds }) => {
        failIfTold();
        return { sandboxes: sandboxIds.map((sandboxId) => ({ sandboxId, series: custom.get(sandboxId) ?? [] })) };
      },
      getLogs: ({ sandboxId, after }) => {
        failIfTold();
        get(sandboxId);
        const entries = logs.get(sandboxId) ?? [];
        if (after === undefined) return { entries };
        const read = Number(after.split('-')[1] ?? 0);
        return { entries: entries.slice(read).map((one, at) => ({ ...one, cursor: `scripted-${read + at + 1}-0` })) };
      },
      listTemplates: () => {
        failIfTold();
        lists.push(Date.now());
        return {
          templates: [
            {
              ...{ templateId: state.baseId, names: ['base'], cpuCount: 2, memoryMb: 1024, diskSizeMb: 10_240 },
              createdAt: timestampFromMs(Date.UTC(2026, 0, 2)),
            },
            { templateId: 'tnameless', names: [], cpuCount: 1, memoryMb: 512, diskSizeMb: 1024 },
            ...made.map((name) => ({
              templateId: `t${name}`,
              names: [name],
              cpuCount: 2,
              memoryMb: 1024,
              diskSizeMb: 10,
            })),
          ],
          makeable: ['slow', 'quick'].filter((name) => !made.includes(name)),
        };
      },
      makeTemplate: ({ name }) => {
        failIfTold();
        if (name === 'slow') return { step: 'unpacking', elapsedSeconds: 12 };
        made.push(name);
        return { template: { templateId: `t${name}`, names: [name], cpuCount: 2, memoryMb: 1024, diskSizeMb: 10 } };
      },
      watchEvents: (_request, { signal }) => {
        failIfTold();
        const shown = [...sandboxes.values()].filter(({ sandboxId }) => !hidden.has(sandboxId));
        const first = shown.map((sandbox) => ({ case: 'created', value: { sandbox } }) as never);
        return events.watch([...first, { case: 'snapshotDone', value: {} as never }], signal);
      },
    });
  });

  return Object.assign(state, {
    client: createClient(RunnerService, transport),
    sandboxes,
    hidden,
    creates,
    policies,
    lists,
    snapshots,
    importsKept,
    builds: builds.builds,
    usage,
    stateRequests,
    used,
    connections,
    logs,
    metrics,
    points,
    custom,
    watchers: events.watchers,
    plant,
    tell,
    end: (sandboxId: string, cause: string) => {
      sandboxes.delete(sandboxId);
      tell({ case: 'ended', value: { sandboxId, cause } as never });
    },
    move: (sandboxId: string, to: 'paused' | 'running', cause: string, silently?: 'silently') => {
      const sandbox = moveTo(get(sandboxId), to === 'paused' ? SandboxState.PAUSED : SandboxState.RUNNING, cause);
      if (silently === undefined) tell({ case: 'updated', value: structuredClone({ sandbox }) as never });
    },
    cutStreams: events.cut,
  });
}
