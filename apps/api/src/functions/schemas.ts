import { Secret } from '@soulbox/base';
import { functionKinds } from '@soulbox/contract/functions';
import type { DeployRequest, FunctionInfo, FunctionVersionInfo } from '@soulbox/contract/function-service';
import { z } from 'zod';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { stringMap } from '../http/string-map.ts';

/** Limit of a body that contains code, in bytes: 5 MiB of code, escaped. */
export const deployBodyBytesMax = 16 * 1024 * 1024;
const sourceMax = 5 * 1024 * 1024;
const variableLimits = { entries: 128, keyBytes: 128, valueBytes: 32 * 1024 } as const;
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

const hasVariableNames = (map: Readonly<Record<string, string>>): boolean =>
  Object.keys(map).every((name) => variableName.test(name));
const namesFault = 'has a name that is not of the form [A-Za-z_][A-Za-z0-9_]*';

export const functionName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/,
    'must have 1 to 40 characters of a-z, 0-9 and -, and must not start or end with -',
  )
  .describe('Unique on the server. The function is served at `fn-<name>.<domain>`.');

/** Name of the namespace of a binding. */
export const namespaceName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -');

export const functionParams = z.object({ name: z.string() });
export const secretParams = z.object({ name: z.string(), secret: z.string() });

const secretsMap = stringMap(variableLimits, 'Encrypted at rest and never returned.').refine(
  hasVariableNames,
  namesFault,
);

const limitsSchema = z.object({
  requestTimeoutMs: z
    .int()
    .min(100)
    .max(900_000)
    .optional()
    .describe('Milliseconds within which the response must start.'),
  memoryMb: z.int().min(16).optional().describe('Memory in MB, in addition to that of the engine.'),
  maxBodyBytes: z.int().min(0).optional(),
  idleSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .optional()
    .describe('Seconds without a request after which the function is paused.'),
});

const deployFields = {
  source: z
    .string()
    .min(1)
    .max(sourceMax)
    .refine((text) => text.isWellFormed(), 'must be well-formed text')
    .describe('One JavaScript module with its imports bundled, as the CLI produces it.'),
  environment: stringMap(variableLimits, 'If absent, unchanged.').refine(hasVariableNames, namesFault).optional(),
  secrets: secretsMap.optional().describe('Added to the existing ones.'),
  kv: z
    .record(z.string().regex(variableName).max(128), namespaceName)
    .refine((map) => Object.keys(map).length <= 16, 'has more than 16 entries')
    .optional()
    .describe('Key-value namespaces of the team, by binding. For kind `workers` only.'),
  limits: limitsSchema.optional(),
  compatibilityDate: z.iso.date().optional().describe('Compatibility date of workerd. For kind `workers` only.'),
  compatibilityFlags: z
    .array(z.string().regex(/^[a-z0-9_]{1,64}$/))
    .max(32)
    .optional()
    .describe('Compatibility flags of workerd. For kind `workers` only.'),
};

export const newFunctionSchema = z
  .object({ name: functionName, kind: z.enum(functionKinds).default('workers'), ...deployFields })
  .meta({ id: 'NewFunction' });
export const newVersionSchema = z.object(deployFields).meta({ id: 'NewFunctionVersion' });
export const newSecretsSchema = z.object({ secrets: secretsMap }).meta({ id: 'FunctionSecrets' });
export const rollbackSchema = z
  .object({ version: z.int().min(1).optional().describe('Default: the version before the active one.') })
  .meta({ id: 'FunctionRollback' });

export const functionSchema = z
  .object({
    name: z.string(),
    kind: z.enum(functionKinds),
    activeVersion: z.int(),
    environment: z.record(z.string(), z.string()),
    secrets: z.array(z.string()).describe('Names only.'),
    kv: z.record(z.string(), z.string()),
    limits: z.object({
      requestTimeoutMs: z.int(),
      memoryMb: z.int(),
      maxBodyBytes: z.int(),
      idleSeconds: z.int(),
    }),
    compatibilityDate: z.string(),
    compatibilityFlags: z.array(z.string()),
    state: z
      .enum(['running', 'asleep', 'none'])
      .describe(
        'State of its sandbox. `asleep`: paused, the next request resumes it. `none`: the next request starts one.',
      ),
    sandboxID: z.string().nullable(),
    createdAt: timeSchema,
    updatedAt: timeSchema,
  })
  .meta({ id: 'Function' });

export const versionSchema = z
  .object({
    version: z.int(),
    digest: z.string().describe('SHA-256 of the bundle.'),
    sizeBytes: z.int(),
    active: z.boolean(),
    createdAt: timeSchema,
  })
  .meta({ id: 'FunctionVersion' });

export const invokeSchema = z
  .object({
    method: z
      .string()
      .regex(/^[A-Z]{1,16}$/)
      .default('GET'),
    path: z
      .string()
      .max(8192)
      .regex(/^\/[\x21-\x7e]*$/, 'must start with / and consist of ASCII characters')
      .default('/'),
    headers: stringMap({ entries: 64, keyBytes: 128, valueBytes: 8192 }, 'Headers of the request.')
      .refine(isHeaderMap, 'must contain valid HTTP headers only')
      .default({}),
    body: z
      .string()
      .max(1024 * 1024)
      .default('')
      .describe('Text, or base64 if `encoding` says so.'),
    encoding: z.enum(['utf8', 'base64']).default('utf8'),
  })
  .meta({ id: 'FunctionCall' });

function isHeaderMap(map: Readonly<Record<string, string>>): boolean {
  return Object.entries(map).every(
    ([name, value]) =>
      /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) &&
      /^[\t\x20-\x7e\x80-\xff]*$/.test(value) &&
      !/^(host|connection|content-length|transfer-encoding|upgrade|expect|te|trailer)$/i.test(name),
  );
}

export const answerSchema = z
  .object({
    status: z.int(),
    headers: z.array(z.tuple([z.string(), z.string()])),
    body: z.string(),
    encoding: z.enum(['utf8', 'base64']).describe('`base64` if the body is not valid UTF-8.'),
  })
  .meta({ id: 'FunctionAnswer' });

export const functionLogQuery = z.object({
  cursor: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('`cursor` of the previous response. Returns newer entries only.'),
  limit: z.coerce.number().int().min(1).max(1000).default(1000),
});

export const functionLogSchema = z
  .object({
    entries: z.array(
      z.object({
        timestamp: timeSchema,
        level: z.enum(['debug', 'info', 'warn', 'error']),
        source: z.enum(['console', 'request', 'system']),
        message: z.string(),
      }),
    ),
    cursor: z.int(),
  })
  .meta({ id: 'FunctionLog' });

export function requestFromBody({ kv, secrets, ...rest }: z.infer<typeof newVersionSchema>): DeployRequest {
  return { ...rest, kvBindings: kv, secrets: secrets === undefined ? undefined : secretsFromBody(secrets) };
}

export function secretsFromBody(map: Readonly<Record<string, string>>): Record<string, Secret> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, new Secret(value)]));
}

export function functionToWire(info: FunctionInfo): z.infer<typeof functionSchema> {
  const { sandboxId, secretNames, kvBindings, createdAt, updatedAt, compatibilityFlags, ...same } = info;
  return {
    ...same,
    secrets: [...secretNames],
    kv: { ...kvBindings },
    compatibilityFlags: [...compatibilityFlags],
    sandboxID: sandboxId ?? null,
    createdAt: timeToWire(createdAt),
    updatedAt: timeToWire(updatedAt),
  };
}

export function versionToWire({ number, createdAt, ...same }: FunctionVersionInfo): z.infer<typeof versionSchema> {
  return { ...same, version: number, createdAt: timeToWire(createdAt) };
}

/** Errors of routes that start a function's sandbox. */
export const startErrors = [400, 404, 409, 413, 415, 501, 503, 504] as const;
