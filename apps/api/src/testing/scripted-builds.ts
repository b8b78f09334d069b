import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { envdVersion } from '@soulbox/contract';
import { RunBuildResponseSchema, SnapshotSchema } from '@soulbox/contract/runner';
import type { RunBuildRequest, RunnerService, Snapshot } from '@soulbox/contract/runner';

type Event = NonNullable<MessageInitShape<typeof RunBuildResponseSchema>['event']>;

/** A build that was requested from the scripted runner. */
export interface ScriptedBuild {
  readonly request: RunBuildRequest;
  /** Aborted when the caller has dropped the stream. */
  readonly dropped: AbortSignal;
  log(message: string, more?: { level?: string; step?: string; atMs?: number }): void;
  /** Stores a snapshot and reports it. */
  finish(): void;
  fail(message: string, step?: string, reason?: string): void;
  /** Ends the stream without a result. */
  vanish(): void;
}

export function createScriptedBuilds(snapshots: Map<string, Snapshot>): {
  readonly builds: ReadonlyMap<string, ScriptedBuild>;
  readonly runBuild: ServiceImpl<typeof RunnerService>['runBuild'];
} {
  const builds = new Map<string, ScriptedBuild>();
  return {
    builds,
    runBuild: async function* (request, { signal }) {
      const queue: (Event | undefined)[] = [];
      let wake = (): void => undefined;
      const push = (event: Event | undefined): void => {
        queue.push(event);
        wake();
      };
      signal.addEventListener('abort', () => push(undefined));
      builds.set(request.buildId, scriptedBuild(request, signal, snapshots, push));
      for (;;) {
        while (queue.length > 0) {
          const event = queue.shift();
          if (event === undefined) return;
          yield create(RunBuildResponseSchema, { event });
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function scriptedBuild(
  request: RunBuildRequest,
  dropped: AbortSignal,
  snapshots: Map<string, Snapshot>,
  push: (event: Event | undefined) => void,
): ScriptedBuild {
  return {
    request,
    dropped,
    log: (message, { level = 'info', step = '', atMs = Date.now() } = {}) =>
      push({ case: 'log', value: { timestamp: timestampFromMs(atMs), level, step, message } }),
    finish: () => {
      const { buildId: snapshotId, teamId, templateId, cpuCount, memoryMb } = request;
      const size = { cpuCount, memoryMb, diskSizeMb: 2048, isolation: 'container', sizeBytes: 4096n };
      const snapshot = create(SnapshotSchema, { snapshotId, teamId, templateId, ...size });
      snapshots.set(snapshotId, snapshot);
      push({ case: 'done', value: { snapshot, envdVersion, cachedSteps: 0 } });
    },
    fail: (message, step = '', reason = 'bad_request') => push({ case: 'failed', value: { reason, message, step } }),
    vanish: () => push(undefined),
  };
}
