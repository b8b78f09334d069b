import type { Metric, MetricPoint, Sandbox } from '@soulbox/contract/runner';
import type { ReportedSandbox, VolumeMountRecord } from '@soulbox/storage';
import type { z } from 'zod';
import { mayRun } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiConfig } from '../config.ts';
import { timeToWire } from '../http/schemas.ts';
import { factsFromRunner, msFromTimestamp } from '../runner/sandbox-facts.ts';
import { policyFromRunner } from './network-policy.ts';
import type { listedSandboxSchema, metricSchema, sandboxDetailSchema, sandboxSchema } from './schemas.ts';

/** E2B's name for the host machine. Old clients require the field, but none uses it. */
const clientId = 'soulbox';

/** Leaves out an empty text. Absent and empty are the same for us, but not for the clients. */
const unlessEmpty = <K extends string>(name: K, text: string): { [P in K]?: string } =>
  (text === '' ? {} : { [name]: text }) as { [P in K]?: string };

/** The tokens that open the sandbox itself; empty for a caller without the scope `run`. */
const tokensFor = (caller: Caller, sandbox: Sandbox): Pick<Sandbox, 'envdAccessToken' | 'trafficAccessToken'> =>
  mayRun(caller) ? sandbox : { envdAccessToken: '', trafficAccessToken: '' };

const domainOf = (config: ApiConfig): string | null => (config.sandboxDomain === '' ? null : config.sandboxDomain);

/** Tokens only for a caller who may use the insides of the sandbox. */
export function sandboxToWire(sandbox: Sandbox, config: ApiConfig, caller: Caller): z.infer<typeof sandboxSchema> {
  const { envdAccessToken, trafficAccessToken } = tokensFor(caller, sandbox);
  return {
    sandboxID: sandbox.sandboxId,
    templateID: sandbox.templateId,
    clientID: clientId,
    envdVersion: sandbox.envdVersion,
    ...unlessEmpty('alias', sandbox.alias),
    ...unlessEmpty('envdAccessToken', envdAccessToken),
    trafficAccessToken: trafficAccessToken === '' ? null : trafficAccessToken,
    domain: domainOf(config),
    isolation: sandbox.isolation,
    ...volumesToWire(factsFromRunner(sandbox).volumes),
  };
}

/** The facts of a running or paused sandbox. The end time of a paused sandbox is the time of the pause. */
export function listedToWire(facts: ReportedSandbox): z.infer<typeof listedSandboxSchema> {
  return {
    sandboxID: facts.id,
    templateID: facts.templateId,
    clientID: clientId,
    ...unlessEmpty('alias', facts.alias),
    startedAt: timeToWire(facts.startedAt),
    endAt: timeToWire(facts.state === 'paused' ? facts.stateSince : facts.endAt),
    cpuCount: facts.cpuCount,
    memoryMB: facts.memoryMb,
    diskSizeMB: facts.diskSizeMb,
    metadata: facts.metadata,
    ...mountsToWire(facts.volumes),
    state: facts.state,
    envdVersion: facts.envdVersion,
    isolation: facts.isolation,
    idleTimeout: facts.lifecycle.idleTimeoutSeconds,
    cause: facts.cause,
    stateSince: timeToWire(facts.stateSince),
  };
}

/** And not a bucket. */
export const isVolume = ({ bucketPrefix }: VolumeMountRecord): boolean => bucketPrefix === undefined;

/** Volumes and buckets apart; what there is none of is absent. */
function mountsToWire(
  mounts: readonly VolumeMountRecord[],
): Pick<z.infer<typeof listedSandboxSchema>, 'volumeMounts' | 'bucketMounts'> {
  const bucketMounts = mounts.flatMap((mount) => {
    const { bucketPrefix: prefix } = mount;
    return prefix === undefined ? [] : [{ ...mountToWire(mount), prefix }];
  });
  return {
    ...volumesToWire(mounts),
    ...(bucketMounts.length === 0 ? {} : { bucketMounts }),
  };
}

function volumesToWire(mounts: readonly VolumeMountRecord[]): Pick<z.infer<typeof sandboxSchema>, 'volumeMounts'> {
  const volumeMounts = mounts.filter(isVolume).map(mountToWire);
  return volumeMounts.length === 0 ? {} : { volumeMounts };
}

const mountToWire = ({ name, path, readOnly }: VolumeMountRecord) => ({ name, path, readOnly });

export function detailToWire(sandbox: Sandbox, config: ApiConfig, caller: Caller): z.infer<typeof sandboxDetailSchema> {
  const facts = factsFromRunner(sandbox);
  return {
    ...listedToWire(facts),
    ...unlessEmpty('envdAccessToken', tokensFor(caller, sandbox).envdAccessToken),
    allowInternetAccess: facts.network.allowInternetAccess ?? null,
    domain: domainOf(config),
    ...(sandbox.network === undefined
      ? {}
      : { network: policyFromRunner(sandbox.network, { showsValues: mayRun(caller) }) }),
    lifecycle: { autoResume: facts.lifecycle.autoResume, onTimeout: facts.lifecycle.onTimeout },
  };
}

export function metricToWire(metric: Metric | MetricPoint): z.infer<typeof metricSchema> {
  const ms = msFromTimestamp(metric.timestamp);
  return {
    timestamp: timeToWire(ms),
    timestampUnix: Math.floor(ms / 1000),
    cpuCount: metric.cpuCount,
    cpuUsedPct: metric.cpuUsedPct,
    memUsed: Number(metric.memoryWorkingSetBytes),
    memTotal: Number(metric.memoryLimitBytes),
    memCache: Number(metric.memoryCacheBytes),
    diskUsed: Number(metric.diskUsedBytes),
    diskTotal: Number(metric.diskTotalBytes),
  };
}
