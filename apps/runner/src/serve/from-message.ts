import { SoulBoxError } from '@soulbox/base';
import { causes } from '@soulbox/contract';
import type { Cause } from '@soulbox/contract';
import type {
  CreateSandboxRequest,
  EgressProxy,
  ForkSandboxRequest,
  Lifecycle as LifecycleMessage,
  NetworkLimits,
  NetworkPolicy,
  TeamLimits as TeamLimitsMessage,
  VolumeMount,
} from '@soulbox/contract/runner';
import type { ForkRequest } from '../operations/copies/fork.ts';
import type { CreateRequest } from '../operations/create.ts';
import type { TeamLimits } from '../operations/team-limits.ts';
import { plainLifecycle } from '../registry/record.ts';
import type { Lifecycle, TenantNetwork, VolumeOfSandbox } from '../registry/record.ts';
import type { Durability } from '../operations/pause/pause.ts';

export function createFromMessage(request: CreateSandboxRequest, signal?: AbortSignal): CreateRequest {
  return {
    ...{ teamId: request.teamId, keyId: request.keyId, creationId: request.creationId },
    alias: request.alias,
    ...(request.snapshotId === '' ? {} : { shownTemplateId: request.templateId }),
    metadata: request.metadata,
    envVars: request.envVars,
    network: networkFromMessage(request.network),
    volumes: request.volumes.map((volume) => volumeFromMessage(request.teamId, volume)),
    ...{ ownVolumes: request.ownVolumes?.copies, signal },
    ...{ secure: request.secure, logOutput: request.logOutput },
    lifecycle: lifecycleFromMessage(request.lifecycle, request.timeoutSeconds),
  };
}

function volumeFromMessage(teamId: string, volume: VolumeMount): VolumeOfSandbox {
  const { volumeId, groupId, name, path, readOnly, sizeBytes, teamBytes, isBucket, prefix } = volume;
  const limits = { sizeBytes: Number(sizeBytes), teamBytes: Number(teamBytes) };
  return { teamId, groupId, volumeId, name, path, isReadOnly: readOnly, ...limits, isBucket, prefix };
}

/** Throws `bad_request` when it names no source. */
export function forkFromMessage(message: ForkSandboxRequest, signal: AbortSignal): ForkRequest {
  const { source, count, timeoutSeconds, teamId, keyId, creationId, secure } = message;
  const ownVolumes = message.ownVolumes.map(({ copies }) => copies);
  const same = { count, timeoutSeconds, teamId, keyId, creationId, secure, ownVolumes, signal };
  switch (source.case) {
    case 'sandboxId':
      return { source: { sandboxId: source.value }, ...same };
    case 'snapshotId':
      return { source: { snapshotId: source.value }, ...same };
    case undefined:
      throw new SoulBoxError('bad_request', 'A fork requires a sandbox or a snapshot.');
  }
}

export function limitsFromMessage({ diskBytes, pausedMemoryBytes }: TeamLimitsMessage): TeamLimits {
  return { diskBytes: Number(diskBytes), pausedMemoryBytes: Number(pausedMemoryBytes) };
}

/** Empty: the fallback. Throws `bad_request` for a cause that this version does not know. */
export function parseCause(text: string, fallback: Cause): Cause {
  if (text === '') return fallback;
  if (Object.hasOwn(causes, text)) return text as Cause;
  throw new SoulBoxError('bad_request', 'The cause is unknown.');
}

/** Empty: the server's setting. */
export function parseDurability(text: string, setting: Durability): Durability {
  if (text === '') return setting;
  if (text === 'on-return' || text === 'in-background') return text;
  throw new SoulBoxError('bad_request', `The durability of a pause must be "on-return" or "in-background".`);
}

/** The network part of a create request. Absent: the defaults. */
export function networkFromMessage(policy: NetworkPolicy | undefined): TenantNetwork {
  return {
    allowInternetAccess: policy?.allowInternetAccess,
    allowOut: policy?.allowOut ?? [],
    denyOut: policy?.denyOut ?? [],
    allowPublicTraffic: policy?.allowPublicTraffic,
    maskRequestHost: policy?.maskRequestHost ?? '',
    ...(policy === undefined || policy.httpsPorts.length === 0 ? {} : { httpsPorts: policy.httpsPorts }),
    ...(policy === undefined ? {} : egressFromMessage(policy)),
  };
}

/** What the egress process judges, without the fields of messages. Settings without an effect are left out. */
function egressFromMessage(policy: NetworkPolicy): Partial<TenantNetwork> {
  const { egressProxy, limits, learn } = policy;
  const rules = mapValues(policy.rules, ({ headers, requests }) => ({
    headers,
    requests: requests.map(({ methods, paths }) => ({ methods, paths })),
  }));
  const identityTokens = mapValues(policy.identityTokens, ({ audience, tokenType }) => ({ audience, tokenType }));
  return {
    ...(rules === undefined ? {} : { rules }),
    ...(egressProxy === undefined ? {} : { egressProxy: proxyFromMessage(egressProxy) }),
    ...(limits === undefined ? {} : { limits: networkLimitsFromMessage(limits) }),
    ...(learn ? { learn } : {}),
    ...(identityTokens === undefined ? {} : { identityTokens }),
  };
}

const proxyFromMessage = ({ address, username, password }: EgressProxy): TenantNetwork['egressProxy'] => ({
  ...{ address, username, password },
});

const networkLimitsFromMessage = (limits: NetworkLimits): TenantNetwork['limits'] => ({
  bytes: Number(limits.bytes),
  connections: limits.connections,
  connectionsPerSecond: limits.connectionsPerSecond,
  bytesPerSecond: Number(limits.bytesPerSecond),
});

/** Undefined if there are none. */
function mapValues<From, To>(map: Record<string, From>, convert: (value: From) => To): Record<string, To> | undefined {
  const entries = Object.entries(map).map(([key, value]) => [key, convert(value)] as const);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Absent: the sandbox is killed at its deadline. The timeout is that of the same request. */
export function lifecycleFromMessage(lifecycle: LifecycleMessage | undefined, timeoutSeconds: number): Lifecycle {
  if (lifecycle === undefined) return { ...plainLifecycle, timeoutSeconds };
  const { pauseOnTimeout, pauseMemory, autoResume, idleTimeoutSeconds } = lifecycle;
  return { pauseOnTimeout, pauseMemory, autoResume, idleTimeoutSeconds, timeoutSeconds };
}
