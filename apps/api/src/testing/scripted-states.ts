import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { SandboxState, SnapshotSchema } from '@soulbox/contract/runner';
import type {
  ForkSandboxRequest,
  OwnVolumes,
  RunnerService,
  Sandbox,
  SandboxSchema,
  Snapshot,
  TeamLimits,
  VolumeMount,
} from '@soulbox/contract/runner';
import { operationTime } from './observed.ts';

type StateCalls = Pick<
  ServiceImpl<typeof RunnerService>,
  'pauseSandbox' | 'resumeSandbox' | 'makeSnapshot' | 'deleteSnapshot' | 'getSnapshot' | 'listSnapshots' | 'forkSandbox'
>;

/** A request for something that uses more disk space. */
export interface Limited {
  readonly teamLimits?: TeamLimits | undefined;
}

/** The functions that the scripted runner gives to its calls about states. */
export interface StateHost {
  readonly snapshots: Map<string, Snapshot>;
  /** Throws the error of a runner without such a sandbox. */
  get(sandboxId: string): Sandbox;
  plant(sandbox: MessageInitShape<typeof SandboxSchema>): Sandbox;
  tell(event: 'created' | 'updated' | 'checkpointed', value: object): void;
  /** The sandboxes that a call with this id has made. */
  madeBy(creationId: string): Sandbox[];
  /** Records the call; waits and fails as the test demands. */
  enter(call: string, request: object, context: HandlerContext): Promise<void>;
  /** Throw when the team's usage has reached the limit in the request. */
  checkDisk(request: Limited): void;
  checkPausedMemory(request: Limited): void;
  /** The number of failing copies of a fork, counted from the last. */
  failingForks(): number;
}

const fail = (...args: ConstructorParameters<typeof SoulBoxError>): never => {
  throw connectErrorFromError(new SoulBoxError(...args));
};

/** Moves a sandbox to a state at a time after its last one, as the runner guarantees. */
export function moveTo(sandbox: Sandbox, state: SandboxState, cause: string): Sandbox {
  const before = timestampMs(sandbox.stateSince ?? timestampFromMs(0));
  sandbox.state = state;
  sandbox.cause = cause;
  sandbox.stateSince = timestampFromMs(Math.max(Date.now(), before + 1));
  return sandbox;
}

/** What a sandbox has that gets copies of some volumes. */
export function withOwn(volumes: readonly VolumeMount[], own: OwnVolumes | undefined): VolumeMount[] {
  return volumes.map((volume) => {
    const copy = own?.copies.find(({ volumeId }) => volumeId === volume.volumeId);
    return copy === undefined ? volume : { ...volume, volumeId: copy.copyId, name: copy.name };
  });
}

export function stateCalls(host: StateHost): StateCalls {
  const copyOf = (
    source: { teamId: string; templateId: string; isolation: string; volumes: VolumeMount[] },
    { timeoutSeconds, creationId, ownVolumes }: ForkSandboxRequest,
    index: number,
  ): Sandbox => {
    const endAt = timestampFromMs(Date.now() + timeoutSeconds * 1000);
    const { teamId, templateId, isolation } = source;
    const sandbox = host.plant({
      teamId,
      templateId,
      isolation,
      endAt,
      creationId,
      cause: 'fork',
      envdAccessToken: 'access-token',
      volumes: withOwn(source.volumes, ownVolumes[index]),
    });
    host.tell('created', { sandbox });
    return sandbox;
  };

  return {
    pauseSandbox: async (request, context) => {
      await host.enter('pauseSandbox', request, context);
      const sandbox = host.get(request.sandboxId);
      if (sandbox.state === SandboxState.PAUSED)
        fail('already_paused', `Sandbox "${sandbox.sandboxId}" is already paused.`);
      host.checkPausedMemory(request);
      moveTo(sandbox, SandboxState.PAUSED, request.cause === '' ? 'request' : request.cause);
      host.tell('updated', { sandbox });
      return { sandbox, operations: [operationTime('pause', { freeze: 0.25 })] };
    },
    resumeSandbox: async (request, context) => {
      await host.enter('resumeSandbox', request, context);
      const sandbox = host.get(request.sandboxId);
      const endAt = Date.now() + request.timeoutSeconds * 1000;
      const resumed = sandbox.state === SandboxState.PAUSED;
      if (resumed) moveTo(sandbox, SandboxState.RUNNING, 'request');
      if (resumed || endAt > timestampMs(sandbox.endAt ?? timestampFromMs(0))) sandbox.endAt = timestampFromMs(endAt);
      host.tell('updated', { sandbox });
      return { sandbox, resumed };
    },
    makeSnapshot: async (request, context) => {
      await host.enter('makeSnapshot', request, context);
      host.checkDisk(request);
      const { sandboxId, teamId, templateId, cpuCount, memoryMb, diskSizeMb, isolation, volumes } = host.get(
        request.sandboxId,
      );
      const snapshot = create(SnapshotSchema, {
        ...{ snapshotId: request.snapshotId, sandboxId, teamId, templateId, cpuCount, memoryMb, diskSizeMb, isolation },
        createdAt: timestampFromMs(Date.now()),
        sizeBytes: 4096n,
        volumes: withOwn(volumes, request.ownVolumes),
        ownVolumes: request.ownVolumes !== undefined,
      });
      host.snapshots.set(request.snapshotId, snapshot);
      host.tell('checkpointed', { sandboxId, snapshotId: request.snapshotId });
      return { snapshot };
    },
    deleteSnapshot: async (request, context) => {
      await host.enter('deleteSnapshot', request, context);
      return { existed: host.snapshots.delete(request.snapshotId) };
    },
    getSnapshot: async (request, context) => {
      await host.enter('getSnapshot', request, context);
      const snapshot = host.snapshots.get(request.snapshotId);
      return snapshot === undefined ? fail('snapshot_not_found', 'no such snapshot') : { snapshot };
    },
    listSnapshots: async (request, context) => {
      await host.enter('listSnapshots', request, context);
      return { snapshots: [...host.snapshots.values()] };
    },
    forkSandbox: async (request, context) => {
      await host.enter('forkSandbox', request, context);
      host.checkDisk(request);
      const { source, count, creationId } = request;
      const present = host.madeBy(creationId);
      if (present.length > 0) return { outcomes: present.map((value) => ({ outcome: { case: 'sandbox', value } })) };
      const origin = source.case === 'snapshotId' ? host.snapshots.get(source.value) : host.get(source.value ?? '');
      if (origin === undefined) return fail('snapshot_not_found', 'no such snapshot');
      if (source.case === 'sandboxId') host.tell('checkpointed', { sandboxId: source.value, snapshotId: '' });
      return {
        outcomes: Array.from({ length: count }, (_, index) =>
          index < count - host.failingForks()
            ? { outcome: { case: 'sandbox', value: copyOf(origin, request, index) } }
            : { outcome: { case: 'failure', value: { reason: 'sandbox_start_failed', message: 'no memory left' } } },
        ),
      };
    },
  };
}
