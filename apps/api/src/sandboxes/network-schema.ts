import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { networkRulesMax } from '../limits.ts';

/** An IPv4 address or an IPv4 block `a.b.c.d/0..32`. */
export function isIpv4Block(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (!isIPv4(address) || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,2}$/.test(bits) && Number(bits) <= 32);
}

const domainForm = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/** A host name, or one with the prefix `*.`. */
function isDomain(text: string): boolean {
  return text.length <= 255 && domainForm.test(text);
}

const destination = z
  .string()
  .max(255)
  .refine(
    (text) => !isIPv6(text.split('/')[0] ?? ''),
    'must not be an IPv6 address: sandboxes have an IPv4 address only',
  )
  .refine((text) => isIpv4Block(text) || isDomain(text), 'must be an IPv4 address, a CIDR block or a domain');

const denied = z.string().refine(isIpv4Block, 'must be an IPv4 address or a CIDR block');

/** E2B's SandboxNetworkConfig. Unsupported settings are accepted here and refused later by name, with 501. */
export const networkSchema = z
  .object({
    allowOut: z
      .array(destination)
      .max(networkRulesMax)
      .optional()
      .describe('Allowed addresses and CIDR blocks. They take precedence over denyOut.'),
    denyOut: z.array(denied).max(networkRulesMax).optional(),
    rules: z.record(z.string(), z.unknown()).optional().describe('Not available in this version.'),
    egressProxy: z.record(z.string(), z.unknown()).nullish().describe('Not available in this version.'),
    allowPublicTraffic: z.boolean().optional().describe('Absent: true.'),
    maskRequestHost: z
      .string()
      .max(255)
      .regex(/^[A-Za-z0-9.:[\]_-]*(\$\{PORT\})?[A-Za-z0-9.:[\]_-]*$/, 'must be a host, with ${PORT} if needed')
      .optional()
      .describe("Host header for the sandbox's services; `${PORT}` stands for the port."),
    httpsPorts: z.array(z.int().min(1).max(65535)).optional().describe('Not available in this version.'),
  })
  .meta({ id: 'SandboxNetworkConfig' });

/** The network part of the details of a sandbox. */
export const networkDetailSchema = z
  .object({
    allowOut: z.array(z.string()).optional(),
    denyOut: z.array(z.string()).optional(),
    allowPublicTraffic: z.boolean().optional(),
    maskRequestHost: z.string().optional(),
  })
  .meta({ id: 'SandboxNetworkDetail' });
