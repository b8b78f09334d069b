import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { silentLogger } from '@soulbox/base/logger';
import { createSandboxId } from '@soulbox/contract';
import { openCheckpointStore } from '@soulbox/checkpoints';
import type { CheckpointStore } from '@soulbox/checkpoints';
import { openTestSeal, testCheckpointKeys } from './test-keys.ts';
import { openDiskBlobs, openDiskReserve } from '@soulbox/storage';
import type { Template, TemplateStore } from '@soulbox/templates';
import { runnerConfigSchema } from '../config.ts';
import type { RunnerConfig } from '../config.ts';
import { createDiskBudget } from '../disk-budget/budget.ts';
import { createMemoryRoom } from '../memory-room/memory-room.ts';
import type { DiskBudget } from '../disk-budget/budget.ts';
import { standingOf } from '../processes/disk-need.ts';
import { createEvents } from '../registry/events.ts';
import type { RunnerEvent } from '../registry/events.ts';
import { createSandboxMetrics } from '../metrics/sandbox-metrics.ts';
import { openMetricFolder } from '../metrics/metric-history.ts';
import { createConsumption } from '../metrics/consumption.ts';
import { createHolds } from '../registry/holds.ts';
import { createActivity } from '../metrics/activity.ts';
import { createAdmission } from '../registry/admission.ts';
import { createBackground } from '../background.ts';
import { openSnapshotStore } from '../registry/snapshot-store.ts';
import { endSandbox } from '../operations/end.ts';
import { readRootIdentity } from '../processes/sandbox-disk.ts';
import { bundleNameOf } from '../processes/sandbox-host.ts';
import { noVolumes } from '../processes/volume-mounts.ts';
import type { SandboxHost } from '../processes/sandbox-host.ts';
import { keepAllWhileUnreadable } from '../registry/keep-all-checkpoints.ts';
import { createReferences } from '../registry/references.ts';
import { disconnect, startProcesses } from '../processes/start-processes.ts';
import { createLogBook } from '../processes/log-book.ts';
import { openLogFolder } from '../processes/log-folder.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { createRecordStore, plainLifecycle } from '../registry/record.ts';
import type { HostRecord, Tenant } from '../registry/record.ts';
import { noStoredCopies } from '../stored/stored-copies.ts';
import { createSlots } from '../registry/slots.ts';
import { createSandboxTable } from '../registry/table.ts';
import type { RunningSandbox, TenantSandbox } from '../registry/table.ts';
import { createStandInDriver } from './stand-in-driver.ts';
import type { StandInDriver } from './stand-in-driver.ts';
import { freshNamespace } from './stand-in-namespace.ts';
import type { StandInNamespace } from './stand-in-namespace.ts';
import { createStandInNetwork } from './stand-in-network.ts';
import type { StandInNetwork } from './stand-in-network.ts';

/**
 * Everything that an operation uses. Records, checkpoints, snapshots, locks and limits are real, on a disk. The driver
 * and the network are stand-ins, and envd is a program in a network namespace.
 */
export interface OperationBench extends AsyncDisposable {
  readonly context: OperationContext;
  readonly driver: StandInDriver;
  readonly network: StandInNetwork;
  readonly envd: StandInNamespace;
  /** All events that watchers got, oldest first. */
  readonly events: readonly RunnerEvent[];
  /** Ids of sandboxes that were cut off. */
  readonly cutOff: readonly string[];
  /** The purposes for which room on the host's disk is reserved at present. */
  readonly roomFor: readonly string[];
  /** Free memory of the host. */
  availableBytes: number;
  /** The host's disk has no room for this purpose, as `admit` names it. */
  noRoomFor: string;
  /** The time of the bench's clock, in milliseconds since the epoch. */
  nowMs: number;
  /** Adds a running sandbox of a tenant. */
  addRunning(tenant?: Partial<Tenant>, record?: Partial<HostRecord>): Promise<RunningSandbox>;
  /** Adds a sandbox that a dead server left: a record, with or without processes. */
  addLeft(record: Partial<HostRecord>, processes: 'running' | 'none'): Promise<TenantSandbox>;
  /** Opens the checkpoint store again, as a new server does: it remembers no earlier check. */
  reopenCheckpoints(): Promise<void>;
  /** The record of a sandbox on the disk. */
  readRecord(sandboxId: string): Promise<HostRecord | undefined>;
}

const startMs = 1_800_000_000_000;
/** How long a save or a restore waits for memory of the host. */
const memoryWaitMs = 1000;

export async function createOperationBench(config: Partial<RunnerConfig> = {}): Promise<OperationBench> {
  const cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-operations-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'sandboxes'));
  const envd = await freshNamespace();
  const [driver, network] = [createStandInDriver(envd.path), createStandInNetwork()];
  const blobs = await openDiskBlobs({ directory: join(folder, 'blobs') });
  const clearDirectory = await mkdtemp('/dev/shm/soulbox-clear-');
  cleanup.defer(() => rm(clearDirectory, { recursive: true }));
  const openCheckpoints = async (): Promise<CheckpointStore> =>
    await openCheckpointStore({
      directory: folder,
      clearDirectory,
      keys: testCheckpointKeys,
      logger: silentLogger,
      blobs,
    });
  const roomFor: string[] = [];
  const host: { -readonly [K in keyof SandboxHost]: SandboxHost[K] } = {
    config: loadConfig(runnerConfigSchema, {}, config),
    dataDirectory: folder,
    drivers: new Map([[driver.name, driver]]),
    network,
    volumes: noVolumes,
    envdBundle: { directory: folder, mountPoint: '/.soulbox', command: [], environment: [], forOwnKernel: [] },
    slots: createSlots(),
    store: createRecordStore(join(folder, 'sandboxes'), openDiskReserve(join(folder, 'reserve')), openTestSeal()),
    checkpoints: await openCheckpoints(),
    stored: noStoredCopies,
    disks: noted(
      createDiskBudget({
        policy: loadConfig(runnerConfigSchema, {}, config),
        directory: folder,
        standingOf: (sandboxId) => standingOf(host, parts.context.table.find(sandboxId)?.record),
        readDirtied: () => NaN,
        clock: { now: () => bench.nowMs },
        logger: silentLogger,
      }),
      roomFor,
      () => bench.noRoomFor,
    ),
    memory: createMemoryRoom({
      stopping: AbortSignal.any([]),
      readMemory: () => ({ totalBytes: 2 ** 40, availableBytes: bench.availableBytes }),
      maxWaitMs: memoryWaitMs,
    }),
    logger: silentLogger,
  };
  cleanup.defer(() => host.checkpoints[Symbol.asyncDispose]());
  const stop = new AbortController();
  const parts = await createParts(host, folder, stop.signal, () => bench.nowMs);
  cleanup.use(parts.context.metrics);
  cleanup.use(parts.context.background);
  cleanup.defer(() => {
    stop.abort();
    for (const sandbox of parts.context.table.all()) disconnect(sandbox);
  });

  const { table } = parts.context;
  const start = async (record: HostRecord & { tenant: Tenant }): Promise<TenantSandbox> => {
    const sandbox: TenantSandbox = { record, live: await startProcesses(host, record, folder) };
    record.disk = 'kept';
    return sandbox;
  };
  const bench: OperationBench = {
    ...{ ...parts, driver, network, envd, roomFor, noRoomFor: '', availableBytes: 2 ** 40, nowMs: startMs },
    async addRunning(tenant = {}, record = {}) {
      const sandbox = await start(createRecord(host, { state: 'running', ...record }, tenant));
      table.add(sandbox);
      await table.update(sandbox, {});
      return table.getRunning(sandbox.record.sandboxId);
    },
    async addLeft(record, processes) {
      const whole = createRecord(host, record, record.tenant ?? {});
      const sandbox = processes === 'running' ? await start(whole) : { record: whole, live: undefined };
      table.add(sandbox);
      await table.update(sandbox, {});
      return sandbox;
    },
    async reopenCheckpoints() {
      await host.checkpoints[Symbol.asyncDispose]();
      host.checkpoints = await openCheckpoints();
    },
    readRecord: async (sandboxId) => (await host.store.load()).records.find((record) => record.sandboxId === sandboxId),
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
  return bench;
}

/** Records in `roomFor` what room is reserved for, and has no room for the purpose that `noRoomFor` names. */
function noted(disks: DiskBudget, roomFor: string[], noRoomFor: () => string): DiskBudget {
  return {
    ...disks,
    admit(bytes, what) {
      if (what === noRoomFor()) throw new SoulBoxError('disk_full', `${what} finds no room.`);
      const hold = disks.admit(bytes, what);
      roomFor.push(what);
      return {
        [Symbol.dispose]() {
          hold[Symbol.dispose]();
          roomFor.splice(roomFor.indexOf(what), 1);
        },
      };
    },
  };
}

interface Parts {
  readonly context: OperationContext;
  readonly events: RunnerEvent[];
  readonly cutOff: string[];
}

async function createParts(
  host: SandboxHost,
  folder: string,
  stopping: AbortSignal,
  now: () => number,
): Promise<Parts> {
  const { config, logger, network } = host;
  const clock = { now };
  const table = createSandboxTable(host.store);
  const snapshots = await openSnapshotStore(join(folder, 'snapshots'), logger, openTestSeal());
  const activity = createActivity(clock);
  const [events, cutOff]: [RunnerEvent[], string[]] = [[], []];
  const context: OperationContext = {
    ...{ host, table, snapshots, activity, clock },
    references: createReferences(
      keepAllWhileUnreadable(checkpointsOf(host), [host.store, snapshots], logger),
      table,
      snapshots,
      logger,
      clock,
      () => ({
        checkpoints: [],
        layers: [],
      }),
    ),
    templates: {
      find: (id: string) => Promise.resolve(templateOf(id, folder)),
      list: () => Promise.resolve([templateOf('base', folder)]),
    } as unknown as TemplateStore,
    admission: createAdmission(config, () => table.tenants()),
    events: { ...createEvents(), emit: (event) => void events.push(event) },
    holds: createHolds(),
    metrics: createSandboxMetrics({
      network,
      folder: await openMetricFolder(join(folder, 'metrics')),
      clock,
      logger,
      consumption: createConsumption(),
      observe: activity.observe.bind(activity),
    }),
    logBook: createLogBook(
      table,
      await openLogFolder(join(folder, 'sandbox-logs'), openTestSeal(), () => undefined),
      clock,
    ),
    background: createBackground(stopping, logger),
    cutOff: async (sandboxId) => {
      cutOff.push(sandboxId);
      await Promise.resolve();
    },
    abandon: async (sandboxId) => {
      await endSandbox(context, sandboxId, 'unconfirmed');
    },
  };
  return { context, events, cutOff };
}

/** The present store, since a bench may open another one. */
function checkpointsOf(host: SandboxHost): Pick<CheckpointStore, 'collect' | 'remove' | 'setAside'> {
  return {
    collect: (findNeeded) => host.checkpoints.collect(findNeeded),
    remove: (checkpointId) => host.checkpoints.remove(checkpointId),
    setAside: (checkpointId, note) => host.checkpoints.setAside(checkpointId, note),
  };
}

/** There is one template, `base`. */
function templateOf(templateId: string, rootfs: string): Template | undefined {
  const facts = { templateId, rootfs, names: ['base'], source: 'test:base/1' };
  return templateId === 'base' ? (facts as unknown as Template) : undefined;
}

function createRecord(
  host: SandboxHost,
  record: Partial<HostRecord>,
  tenant: Partial<Tenant>,
): HostRecord & { tenant: Tenant } {
  return {
    ...{ formatVersion: 2, sandboxId: createSandboxId(), state: 'running', cause: 'request', stateSinceMs: startMs },
    ...{ slot: record.slot ?? host.slots.take(), templateId: 'base', driver: 'container', generation: 'first' },
    ...{ runtimeName: bundleNameOf(host), hostToken: randomBytes(8).toString('hex') },
    ...{ cpuCount: 1, memoryMb: 128, diskMb: 64, layers: [], disk: 'new', pagesFrom: '', waitsForRoom: false },
    ground: readRootIdentity(host.envdBundle.directory),
    volumes: [],
    ...record,
    tenant: {
      ...{
        teamId: 'team',
        keyId: '',
        creationId: '',
        alias: 'base',
        startedAtMs: startMs,
        endAtMs: startMs + 60_000,
        metadata: {},
      },
      network: { allowOut: [], denyOut: [], maskRequestHost: '' },
      ...{ envdAccessToken: '', trafficAccessToken: '', lifecycle: { ...plainLifecycle, timeoutSeconds: 60 } },
      settings: { envVars: {}, defaultUser: 'root', defaultWorkdir: '/' },
      ...tenant,
    },
  };
}
