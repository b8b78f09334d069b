import { z } from 'zod';
import { envdPort } from '@soulbox/contract';
import { networkRulesMax } from '../limits.ts';

const target = z.string().max(300);
const hostRule = z
  .object({
    transform: z
      .object({ headers: z.record(z.string(), z.string()).optional() })
      .optional()
      .describe('Headers that replace those of the request. Values may contain `${e2b.secrets.NAME}`.'),
    requests: z
      .array(z.object({ methods: z.array(z.string()).default([]), paths: z.array(z.string()).default([]) }))
      .optional()
      .describe('Other requests are refused. In paths `*` stands for any characters. Absent: all. SoulBox extension.'),
  })
  .meta({ id: 'SandboxNetworkRule' });

const limits = z
  .object({
    bytes: z.int().min(1).optional().describe('Bytes in both directions together.'),
    connections: z.int().min(1).max(4096).optional().describe('Open connections.'),
    connectionsPerSecond: z.int().min(1).max(100_000).optional(),
    bytesPerSecond: z.int().min(1024).optional().describe('Of each direction.'),
  })
  .meta({ id: 'SandboxNetworkLimits' });

/** What concerns connections to the outside. */
const egress = {
  allowOut: z
    .array(target)
    .max(networkRulesMax)
    .optional()
    .describe(
      'Allowed targets: IPv4 addresses, CIDR blocks, host names or `*.domain`, each with `:PORT` or `:FROM-TO` if needed. ' +
        'They take precedence over denyOut. A host name needs `0.0.0.0/0` in denyOut.',
    ),
  denyOut: z.array(target).max(networkRulesMax).optional().describe('IPv4 addresses and CIDR blocks, also with ports.'),
  rules: z
    .record(z.string().max(300), z.array(hostRule).max(1, 'must have one rule for each host'))
    .optional()
    .describe('By host name or `*.domain`: what happens to HTTP requests.'),
  egressProxy: z
    .object({
      address: z
        .string()
        .max(300)
        .regex(/^[^\s/@]+:\d{1,5}$/, 'must be host:port'),
      username: z.string().max(255).optional(),
      password: z.string().max(255).optional(),
    })
    .nullish()
    .describe('SOCKS5 proxy for all connections. The password is never returned.'),
  limits: limits.optional().describe('Limits of the connections. SoulBox extension.'),
  learn: z
    .boolean()
    .optional()
    .describe('Refuse nothing but forbidden addresses, and record everything. SoulBox extension. Default: false.'),
};

const allowInternetAccess = z.boolean().optional().describe('False closes everything except allowOut.');

/**
 * E2B's SandboxNetworkConfig. Unsupported settings are accepted here and refused later by name, with 501. Other bodies
 * ignore unknown members, for newer clients. Here one is refused: it may be a misspelt or newer restriction, and the
 * sandbox would be open.
 */
export const networkSchema = z
  .strictObject({
    ...egress,
    allow_internet_access: allowInternetAccess,
    allowPublicTraffic: z.boolean().optional().describe('Absent: true.'),
    maskRequestHost: z
      .string()
      .max(255)
      .regex(/^[A-Za-z0-9.:[\]_-]*(\$\{PORT\})?[A-Za-z0-9.:[\]_-]*$/, 'must be a host, with ${PORT} if needed')
      .optional()
      .describe("Host header for the sandbox's services; `${PORT}` stands for the port."),
    httpsPorts: z
      .array(
        z
          .int()
          .min(1)
          .max(65535)
          .refine((port) => port !== envdPort, `must not be ${envdPort}`),
      )
      .max(100)
      .optional()
      .describe('Ports whose services speak TLS. Requests reach them with TLS; their certificates are not checked.'),
  })
  .meta({ id: 'SandboxNetworkConfig' });

/** E2B's SandboxNetworkUpdateConfig. It replaces everything; what is left out is cleared. */
export const networkUpdateSchema = z
  .strictObject({ ...egress, allow_internet_access: allowInternetAccess })
  .meta({ id: 'SandboxNetworkUpdateConfig' });

/** Workload identities, which placeholders of the rules may name. */
export const iamSchema = z
  .object({
    tokens: z
      .record(z.string().max(128), z.object({ audience: z.string(), tokenType: z.string().default('JWT-SVID') }))
      .optional(),
  })
  .meta({ id: 'SandboxIam' });

/** The network part of the details of a sandbox. */
export const networkDetailSchema = networkSchema
  .omit({ allow_internet_access: true })
  .meta({ id: 'SandboxNetworkDetail' });

export type NetworkUpdate = z.infer<typeof networkUpdateSchema>;
export type Iam = z.infer<typeof iamSchema>;
