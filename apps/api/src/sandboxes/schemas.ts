import { causes } from '@soulbox/contract';
import type { Cause } from '@soulbox/contract';
import { z } from 'zod';
import { timeSchema } from '../http/schemas.ts';
import { networkDetailSchema } from './network-schema.ts';

/** A cause from docs/events.md. */
export const causeSchema = z.enum(Object.keys(causes) as [Cause, ...Cause[]]);

const isolationSchema = z
  .string()
  .describe('Isolation of the sandbox. Empty for a sandbox of an older version. SoulBox extension.');

const volumeMountsSchema = z
  .array(
    z.object({
      name: z.string(),
      path: z.string(),
      readOnly: z.boolean().describe('SoulBox extension.'),
    }),
  )
  .optional()
  .describe('The volumes in the sandbox. Absent: it has none.');

/** The response of create, connect, resume and fork. */
export const sandboxSchema = z
  .object({
    sandboxID: z.string(),
    templateID: z.string(),
    clientID: z.string().describe('Deprecated; always the same.'),
    envdVersion: z.string(),
    alias: z.string().optional(),
    envdAccessToken: z
      .string()
      .optional()
      .describe('Value for `X-Access-Token`. Absent if the sandbox was created without `secure`.'),
    trafficAccessToken: z.string().nullable().describe('Null while public traffic is allowed.'),
    domain: z.string().nullable().describe('Null: the client uses its own domain.'),
    isolation: isolationSchema,
    volumeMounts: volumeMountsSchema,
  })
  .meta({ id: 'Sandbox' });

const listed = {
  sandboxID: z.string(),
  templateID: z.string(),
  clientID: z.string().describe('Deprecated; always the same.'),
  alias: z.string().optional(),
  startedAt: timeSchema,
  endAt: timeSchema.describe('When the sandbox will end or pause. For a paused sandbox: when it was paused.'),
  cpuCount: z.int(),
  memoryMB: z.int().describe('MiB'),
  diskSizeMB: z.int().describe('MiB'),
  metadata: z.record(z.string(), z.string()),
  volumeMounts: volumeMountsSchema,
  bucketMounts: z
    .array(
      z.object({
        name: z.string(),
        path: z.string(),
        prefix: z.string().describe('Empty, or it ends with `/`.'),
        readOnly: z.boolean(),
      }),
    )
    .optional()
    .describe('The buckets in the sandbox. Absent: it has none. SoulBox extension.'),
  state: z.enum(['running', 'paused']),
  envdVersion: z.string(),
  isolation: isolationSchema,
  idleTimeout: z
    .int()
    .describe('Seconds without activity after which the sandbox ends or pauses. 0: never. SoulBox extension.'),
  cause: causeSchema.describe('Why the sandbox is in its state. SoulBox extension.'),
  stateSince: timeSchema.describe('When the sandbox entered its state. SoulBox extension.'),
};

export const listedSandboxSchema = z.object(listed).meta({ id: 'ListedSandbox' });

export const sandboxDetailSchema = z
  .object({
    ...listed,
    envdAccessToken: z.string().optional(),
    allowInternetAccess: z.boolean().nullable().describe('Null: the request did not specify it.'),
    domain: z.string().nullable(),
    network: networkDetailSchema.optional(),
    lifecycle: z.object({ autoResume: z.boolean(), onTimeout: z.enum(['kill', 'pause']) }),
  })
  .meta({ id: 'SandboxDetail' });

export const metricSchema = z
  .object({
    timestamp: timeSchema,
    timestampUnix: z.int().describe('Seconds'),
    cpuCount: z.number(),
    cpuUsedPct: z.number().describe('Percent of one CPU; 100 is one whole CPU.'),
    memUsed: z.number().describe('Bytes in use, without reclaimable cache.'),
    memTotal: z.number().describe('Bytes'),
    memCache: z.number().describe('Bytes'),
    diskUsed: z.number().describe('Bytes'),
    diskTotal: z.number().describe('Bytes'),
  })
  .meta({ id: 'SandboxMetric' });

/** A time in a query of metrics. */
export const unixSeconds = z.coerce.number().int().min(0).max(253_402_300_799);

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

export const logEntrySchema = z
  .object({
    timestamp: timeSchema,
    level: z.enum(logLevels),
    message: z.string(),
    fields: z.record(z.string(), z.string()),
  })
  .meta({ id: 'SandboxLogEntry' });
