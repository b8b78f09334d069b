import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { envdVersion } from '@soulbox/contract';
import {
  LifecycleSchema,
  NetworkPolicySchema,
  SandboxSchema,
  SandboxState,
  SnapshotSchema,
  VolumeMountSchema,
} from '@soulbox/contract/runner';
import type { ForkSandboxResponse_OutcomeSchema, NetworkPolicy, Sandbox, Snapshot } from '@soulbox/contract/runner';
import type { ForkOutcome } from '../operations/copies/fork.ts';
import type { SnapshotRecord } from '../registry/snapshot-store.ts';
import type { TenantNetwork, VolumeOfSandbox } from '../registry/record.ts';
import { looksPaused } from '../registry/table.ts';
import type { TenantSandbox } from '../registry/table.ts';
import { policyToMessage } from './network-to-message.ts';

/** The wire form of a sandbox, defined in spec/runner. */
export function sandboxToMessage({ record }: Pick<TenantSandbox, 'record'>): Sandbox {
  const { tenant } = record;
  const isPaused = looksPaused({ record });
  return create(SandboxSchema, {
    sandboxId: record.sandboxId,
    teamId: tenant.teamId,
    templateId: tenant.shownTemplateId ?? record.templateId,
    alias: tenant.alias,
    startedAt: timestampFromMs(tenant.startedAtMs),
    // A paused sandbox has no deadline. As with E2B, `endAt` is the time when it was paused.
    endAt: timestampFromMs(isPaused ? record.stateSinceMs : tenant.endAtMs),
    cpuCount: record.cpuCount,
    memoryMb: record.memoryMb,
    diskSizeMb: record.diskMb,
    metadata: tenant.metadata,
    envdVersion,
    network: networkToMessage(tenant.network),
    envdAccessToken: tenant.envdAccessToken,
    trafficAccessToken: tenant.trafficAccessToken,
    state: isPaused ? SandboxState.PAUSED : SandboxState.RUNNING,
    lifecycle: create(LifecycleSchema, tenant.lifecycle),
    isolation: record.driver,
    cause: record.cause,
    stateSince: timestampFromMs(record.stateSinceMs),
    ...{ keyId: tenant.keyId, creationId: tenant.creationId },
    stateBytes: BigInt(record.saved?.sizeBytes ?? 0),
    volumes: record.volumes.map(volumeToMessage),
  });
}

function volumeToMessage(volume: VolumeOfSandbox): MessageInitShape<typeof VolumeMountSchema> {
  const { groupId, volumeId, name, path, isReadOnly, sizeBytes, teamBytes, isBucket, prefix } = volume;
  const limits = { sizeBytes: BigInt(sizeBytes), teamBytes: BigInt(teamBytes) };
  return { groupId, volumeId, name, path, readOnly: isReadOnly, ...limits, isBucket, prefix };
}

export function snapshotToMessage(snapshot: SnapshotRecord): Snapshot {
  return create(SnapshotSchema, {
    snapshotId: snapshot.snapshotId,
    teamId: snapshot.tenant.teamId,
    sandboxId: snapshot.sandboxId,
    templateId: snapshot.tenant.shownTemplateId ?? snapshot.templateId,
    createdAt: timestampFromMs(snapshot.createdAtMs),
    cpuCount: snapshot.cpuCount,
    memoryMb: snapshot.memoryMb,
    diskSizeMb: snapshot.diskMb,
    isolation: snapshot.driver,
    sizeBytes: BigInt(snapshot.sizeBytes),
    volumes: snapshot.volumes.map(volumeToMessage),
    ownVolumes: snapshot.ownVolumes === true,
  });
}

/** The password of the proxy stays here: nobody reads it back. */
function networkToMessage(network: TenantNetwork): NetworkPolicy {
  const { egressProxy } = network;
  const shown = egressProxy === undefined ? network : { ...network, egressProxy: { ...egressProxy, password: '' } };
  return create(NetworkPolicySchema, policyToMessage(shown));
}

/** An outcome of a fork, possibly of an earlier call; then the copy may be paused. */
export type ServedOutcome = ForkOutcome | { readonly sandbox: TenantSandbox };

export function outcomeToMessage(outcome: ServedOutcome): MessageInitShape<typeof ForkSandboxResponse_OutcomeSchema> {
  if ('sandbox' in outcome) return { outcome: { case: 'sandbox', value: sandboxToMessage(outcome.sandbox) } };
  const { reason, message } = outcome.failure;
  return { outcome: { case: 'failure', value: { reason, message } } };
}
