import { SoulBoxError } from '@soulbox/base';
import type {
  CreateSandboxRequest,
  ForkSandboxRequest,
  Lifecycle as LifecycleMessage,
  NetworkPolicy,
  TeamLimits as TeamLimitsMessage,
} from '@soulbox/contract/runner';
import type { ForkRequest } from '../operations/copies/fork.ts';
import type { CreateRequest } from '../operations/create.ts';
import type { TeamLimits } from '../operations/team-limits.ts';
import { plainLifecycle } from '../registry/record.ts';
import type { Lifecycle, TenantNetwork } from '../registry/record.ts';
import type { Durability } from '../operations/pause/pause.ts';

export function createFromMessage(request: CreateSandboxRequest): CreateRequest {
  return {
    teamId: request.teamId,
    alias: request.alias,
    ...(request.snapshotId === '' ? {} : { shownTemplateId: request.templateId }),
    metadata: request.metadata,
    envVars: request.envVars,
    network: networkFromMessage(request.network),
    secure: request.secure,
    lifecycle: lifecycleFromMessage(request.lifecycle, request.timeoutSeconds),
  };
}

/** Throws `bad_request` when it names no source. */
export function forkFromMessage(request: ForkSandboxRequest): ForkRequest {
  const { source, count, timeoutSeconds, teamId } = request;
  switch (source.case) {
    case 'sandboxId':
      return { source: { sandboxId: source.value }, count, timeoutSeconds, teamId };
    case 'snapshotId':
      return { source: { snapshotId: source.value }, count, timeoutSeconds, teamId };
    case undefined:
      throw new SoulBoxError('bad_request', 'A fork requires a sandbox or a snapshot.');
  }
}

export function limitsFromMessage({ diskBytes, pausedMemoryBytes }: TeamLimitsMessage): TeamLimits {
  return { diskBytes: Number(diskBytes), pausedMemoryBytes: Number(pausedMemoryBytes) };
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
  };
}

/** Absent: the sandbox is killed at its deadline. The timeout is that of the same request. */
export function lifecycleFromMessage(lifecycle: LifecycleMessage | undefined, timeoutSeconds: number): Lifecycle {
  if (lifecycle === undefined) return { ...plainLifecycle, timeoutSeconds };
  const { pauseOnTimeout, pauseMemory, autoResume, idleTimeoutSeconds } = lifecycle;
  return { pauseOnTimeout, pauseMemory, autoResume, idleTimeoutSeconds, timeoutSeconds };
}
