import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { NetworkPolicy, Sandbox } from '@soulbox/contract/runner';
import type { NetworkRecord, SandboxFacts } from '@soulbox/storage';

/** Milliseconds since the epoch; 0 when the runner left it out, which sorts first and counts as long ended. */
export function msFromTimestamp(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : Math.floor(timestampMs(timestamp));
}

/** What the runner says of a sandbox, as the records keep it. */
export function factsFromRunner(sandbox: Sandbox): SandboxFacts {
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
    // Pausing does not exist in this version; every sandbox ends at its deadline.
    lifecycle: { autoResume: false, onTimeout: 'kill' },
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
