import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { causes } from '@soulbox/contract';
import type { Cause } from '@soulbox/contract';
import { SandboxState } from '@soulbox/contract/runner';
import type { Lifecycle, NetworkPolicy, Sandbox, VolumeMount } from '@soulbox/contract/runner';
import type { LifecycleRecord, ReportedSandbox, NetworkRecord, VolumeMountRecord } from '@soulbox/storage';

/** Milliseconds since the epoch. 0 when the runner left it out: that sorts first and counts as ended long ago. */
export function msFromTimestamp(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : Math.floor(timestampMs(timestamp));
}

/** The runner's name of a cause; `fallback` for one that this version does not know. */
export function causeFromRunner(text: string, fallback: Cause): Cause {
  return Object.hasOwn(causes, text) ? (text as Cause) : fallback;
}

/** The runner's facts about a sandbox, in the form of the records. */
export function factsFromRunner(sandbox: Sandbox): ReportedSandbox {
  return {
    id: sandbox.sandboxId,
    teamId: sandbox.teamId,
    templateId: sandbox.templateId,
    alias: sandbox.alias,
    metadata: sandbox.metadata,
    startedAt: msFromTimestamp(sandbox.startedAt),
    endAt: msFromTimestamp(sandbox.endAt),
    cpuCount: sandbox.cpuCount,
    memoryMb: sandbox.memoryMb,
    diskSizeMb: sandbox.diskSizeMb,
    envdVersion: sandbox.envdVersion,
    network: networkFromRunner(sandbox.network),
    lifecycle: lifecycleFromRunner(sandbox.lifecycle),
    volumes: sandbox.volumes.map(mountFromRunner),
    isolation: sandbox.isolation,
    createdBy: sandbox.keyId,
    creationId: sandbox.creationId,
    state: sandbox.state === SandboxState.PAUSED ? 'paused' : 'running',
    cause: causeFromRunner(sandbox.cause, 'request'),
    // A sandbox of an older runner has no such time: it has been in its state since its start.
    stateSince: Math.max(msFromTimestamp(sandbox.stateSince), msFromTimestamp(sandbox.startedAt)),
  };
}

function mountFromRunner({ volumeId, name, path, readOnly, isBucket, prefix }: VolumeMount): VolumeMountRecord {
  return { volumeId, name, path, readOnly, ...(isBucket ? { bucketPrefix: prefix } : {}) };
}

function lifecycleFromRunner(lifecycle: Lifecycle | undefined): LifecycleRecord {
  return {
    autoResume: lifecycle?.autoResume ?? false,
    onTimeout: lifecycle?.pauseOnTimeout === true ? 'pause' : 'kill',
    idleTimeoutSeconds: lifecycle?.idleTimeoutSeconds ?? 0,
  };
}

function networkFromRunner(policy: NetworkPolicy | undefined): NetworkRecord {
  return {
    allowInternetAccess: policy?.allowInternetAccess,
    allowOut: policy?.allowOut ?? [],
    denyOut: policy?.denyOut ?? [],
    allowPublicTraffic: policy?.allowPublicTraffic,
    maskRequestHost: policy?.maskRequestHost === '' ? undefined : policy?.maskRequestHost,
  };
}
