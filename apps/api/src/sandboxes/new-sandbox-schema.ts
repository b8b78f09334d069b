import { z } from 'zod';
import { envLimits, metadataLimits } from '../limits.ts';
import { networkSchema } from './network-schema.ts';
import { stringMap } from './string-map.ts';

const timeout = z.int().min(1, 'must be at least 1 second').describe('Seconds to live, from now.');

const common = {
  templateID: z.string().min(1).max(256).describe('Template id, `name`, `name:tag` or `team/name:tag`.'),
  autoPause: z.boolean().optional().describe('Only false is available in this version.'),
  autoPauseMemory: z.boolean().optional(),
  autoResume: z.object({ enabled: z.boolean() }).optional().describe('Only `enabled: false` is available.'),
  allow_internet_access: z.boolean().optional().describe('False closes every way out, DNS included.'),
  network: networkSchema.optional(),
  metadata: stringMap(metadataLimits, 'Shown in lists, which can be filtered by it.').optional(),
  envVars: stringMap(envLimits, 'Environment of every command in the sandbox.')
    .refine((map) => Object.keys(map).every((name) => !name.includes('=')), 'has a name with =')
    .optional(),
  mcp: z.record(z.string(), z.unknown()).nullish().describe('Used by the client; needs a template that serves it.'),
  iam: z
    .object({ tokens: z.record(z.string(), z.unknown()).optional() })
    .optional()
    .describe('Not available in this version.'),
  volumeMounts: z
    .array(z.object({ name: z.string(), path: z.string() }))
    .optional()
    .describe('Only an empty list is available in this version.'),
};

/** `POST /sandboxes`: clients up to 2.49, Python, the CLI. Absent `secure` leaves envd without a token. */
export const newSandboxSchema = z
  .object({ ...common, timeout: timeout.default(15), secure: z.boolean().default(false) })
  .meta({ id: 'NewSandbox' });

/** `POST /v2/sandboxes`: always secure. */
export const newSandboxV2Schema = z.object({ ...common, timeout: timeout.default(300) }).meta({ id: 'NewSandboxV2' });

export type NewSandbox = z.infer<typeof newSandboxSchema>;
