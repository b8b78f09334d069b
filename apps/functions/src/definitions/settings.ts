import { SoulBoxError } from '@soulbox/base';
import type { DeployRequest, FunctionLimitsRequest } from '@soulbox/contract/function-service';
import type { FunctionSettings } from '@soulbox/contract/functions';
import type { FunctionLimits, FunctionRecord } from '@soulbox/storage';
import type { FunctionsConfig } from '../config.ts';
import type { FunctionsContext } from '../context.ts';
import { openEnvironment, openSecrets, sealValues } from './sealed-values.ts';

/** The date for Workers that specify none: the behavior of workerd at the server's release. */
export const defaultCompatibilityDate = '2026-11-01';

export function defaultLimits(config: FunctionsConfig): FunctionLimits {
  return {
    requestTimeoutMs: config.functionTimeoutMs,
    memoryMb: config.functionMemoryMb,
    maxBodyBytes: config.functionBodyMaxBytes,
    idleSeconds: config.functionIdleSeconds,
  };
}

/** The record with the request applied. Throws `limit_exceeded` for limits above the server's. */
export async function withRequest(
  { config, keyring }: FunctionsContext,
  record: FunctionRecord,
  request: Omit<DeployRequest, 'source'>,
): Promise<FunctionRecord> {
  const environment = request.environment ?? (await openEnvironment(keyring, record));
  const sealed = await sealValues(keyring, record, { environment, secrets: request.secrets ?? {} });
  const requested: FunctionRecord = {
    ...record,
    sealedEnvironment: sealed.sealedEnvironment,
    sealedSecrets: { ...record.sealedSecrets, ...sealed.sealedSecrets },
    kvBindings: request.kvBindings ?? record.kvBindings,
    limits: withLimits(config, record.limits, request.limits ?? {}),
    compatibilityDate: request.compatibilityDate ?? record.compatibilityDate,
    compatibilityFlags: request.compatibilityFlags ?? record.compatibilityFlags,
  };
  refuseContradictions(requested, environment);
  return requested;
}

/** Throws `bad_request`. */
function refuseContradictions(
  { kind, kvBindings, sealedSecrets }: FunctionRecord,
  environment: Readonly<Record<string, string>>,
): void {
  const bindings = Object.keys(kvBindings);
  if (kind === 'edge' && bindings.length > 0)
    throw new SoulBoxError('bad_request', 'Key-value bindings are available to functions of kind "workers" only.');
  const taken = bindings.find((name) => Object.hasOwn(environment, name) || Object.hasOwn(sealedSecrets, name));
  if (taken !== undefined)
    throw new SoulBoxError(
      'bad_request',
      `"${taken}" names both a key-value binding and a variable or secret. Use different names.`,
    );
}

function withLimits(config: FunctionsConfig, limits: FunctionLimits, request: FunctionLimitsRequest): FunctionLimits {
  const requested = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
  const result: FunctionLimits = { ...limits, ...(requested as Partial<FunctionLimits>) };
  if (result.memoryMb > config.functionMemoryMaxMb)
    throw new SoulBoxError('limit_exceeded', `A function can use at most ${config.functionMemoryMaxMb} MB of memory.`);
  if (result.maxBodyBytes > config.functionBodyMaxBytes)
    throw new SoulBoxError(
      'limit_exceeded',
      `A function can accept request bodies of at most ${config.functionBodyMaxBytes} bytes.`,
    );
  return result;
}

/**
 * The settings for its supervisor. Secrets take precedence over variables of the same name. Secrets are decrypted here.
 */
export async function settingsOf(
  { keyring }: FunctionsContext,
  record: FunctionRecord,
  source: string,
): Promise<FunctionSettings> {
  const secrets = await openSecrets(keyring, record);
  return {
    kind: record.kind,
    source,
    variables: {
      ...(await openEnvironment(keyring, record)),
      ...Object.fromEntries(secrets.map(([name, secret]) => [name, secret.reveal()])),
    },
    kvBindings: Object.keys(record.kvBindings),
    requestTimeoutMs: record.limits.requestTimeoutMs,
    memoryMb: record.limits.memoryMb,
    maxBodyBytes: record.limits.maxBodyBytes,
    compatibilityDate: record.compatibilityDate,
    compatibilityFlags: record.compatibilityFlags,
  };
}
