import { causes } from '@soulbox/contract';
import type { Cause } from '@soulbox/contract';
import { z } from 'zod';
import { timeSchema } from '../http/schemas.ts';
import { networkDetailSchema } from './network-schema.ts';

/** A word of docs/events.md. */
export const causeSchema = z.enum(Object.keys(causes) as [Cause, ...Cause[]]);

const isolationSchema = z.string().describe("What walls it off; empty for one of an older version. SoulBox's own.");

/** The answer of create, connect, resume and fork. */
export const sandboxSchema = z
  .object({
    sandboxID: z.string(),
    templateID: z.string(),
    clientID: z.string().describe('Deprecated; always the same.'),
    envdVersion: z.string(),
    alias: z.string().optional(),
    envdAccessToken: z.string().optional().describe('For `X-Access-Token`; absent for an insecure sandbox.'),
    trafficAccessToken: z.string().nullable().describe('Null while public traffic is allowed.'),
    domain: z.string().nullable().describe("Null: the client's own domain."),
    isolation: isolationSchema,
  })
  .meta({ id: 'Sandbox' });

const listed = {
  sandboxID: z.string(),
  templateID: z.string(),
  clientID: z.string().describe('Deprecated; always the same.'),
  alias: z.string().optional(),
  startedAt: timeSchema,
  endAt: timeSchema.describe('When it will end or pause; of a paused one: when it was paused.'),
  cpuCount: z.int(),
  memoryMB: z.int().describe('MiB'),
  diskSizeMB: z.int().describe('MiB'),
  metadata: z.record(z.string(), z.string()),
  state: z.enum(['running', 'paused']),
  envdVersion: z.string(),
  isolation: isolationSchema,
  idleTimeout: z.int().describe("Seconds without activity after which it ends or pauses; 0: never. SoulBox's own."),
  cause: causeSchema.describe("Why it is in its state. SoulBox's own."),
  stateSince: timeSchema.describe("SoulBox's own."),
};

export const listedSandboxSchema = z.object(listed).meta({ id: 'ListedSandbox' });

export const sandboxDetailSchema = z
  .object({
    ...listed,
    envdAccessToken: z.string().optional(),
    allowInternetAccess: z.boolean().nullable().describe('Null: it was not asked for either way.'),
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
    cpuUsedPct: z.number().describe('100 means one whole CPU.'),
    memUsed: z.number().describe('Bytes, cache that can be dropped left out.'),
    memTotal: z.number().describe('Bytes'),
    memCache: z.number().describe('Bytes'),
    diskUsed: z.number().describe('Bytes'),
    diskTotal: z.number().describe('Bytes'),
  })
  .meta({ id: 'SandboxMetric' });

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

export const logEntrySchema = z
  .object({
    timestamp: timeSchema,
    level: z.enum(logLevels),
    message: z.string(),
    fields: z.record(z.string(), z.string()),
  })
  .meta({ id: 'SandboxLogEntry' });
