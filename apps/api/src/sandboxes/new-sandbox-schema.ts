import { isolationMetadataKey, isolations, volumePathMaxBytes } from '@soulbox/contract';
import { ownMetadataPrefix } from '@soulbox/contract/functions';
import { z } from 'zod';
import { envLimits, idleTimeoutMax, metadataLimits, volumeMountsMax } from '../limits.ts';
import { iamSchema, networkSchema } from './network-schema.ts';
import { stringMap } from '../http/string-map.ts';

const timeout = z.int().min(1, 'must be at least 1 second').describe('Seconds to live from now.');

const common = {
  templateID: z
    .string()
    .min(1)
    .max(256)
    .describe('Id or name of a template or snapshot: `name`, `name:tag` or `team/name:tag`.'),
  autoPause: z
    .boolean()
    .optional()
    .describe('Whether the sandbox is paused at its timeout instead of killed. Default: false.'),
  autoPauseMemory: z.boolean().optional().describe('Whether such a pause keeps the memory. Default: true.'),
  autoResume: z
    .object({ enabled: z.boolean() })
    .optional()
    .describe('Whether any request to the paused sandbox resumes it. Requires a pause with memory. Default: false.'),
  idleTimeout: z
    .int()
    .min(0)
    .max(idleTimeoutMax)
    .default(0)
    .describe(
      'Seconds without CPU use, I/O, open streams or requests after which the sandbox is treated as at its timeout. ' +
        '0: never. SoulBox extension.',
    ),
  isolation: z
    .enum(isolations)
    .optional()
    .describe(
      'Isolation of the sandbox. Can also be set by the header `X-Soulbox-Isolation` or the metadata `soulbox.isolation`. ' +
        'Default: that of the key, of the template, or of the server. SoulBox extension.',
    ),
  logOutput: z
    .boolean()
    .optional()
    .describe(
      'Whether the lines that commands write to standard output and errors go into the log of the sandbox. Default: false. ' +
        'SoulBox extension.',
    ),
  allow_internet_access: z
    .boolean()
    .optional()
    .describe(
      'False refuses everything except network.allowOut. Look-ups of other names are answered at once: no such name.',
    ),
  network: networkSchema.optional(),
  metadata: stringMap(metadataLimits, 'Shown in lists. Lists can be filtered by it.')
    .refine(
      (map) => !Object.keys(map).some((key) => key.startsWith(ownMetadataPrefix) && key !== isolationMetadataKey),
      `has a key that begins with ${ownMetadataPrefix}`,
    )
    .optional(),
  envVars: stringMap(envLimits, 'Environment of every command in the sandbox.')
    .refine((map) => Object.keys(map).every((name) => !name.includes('=')), 'must not have a name that contains =')
    .optional(),
  mcp: z
    .record(z.string(), z.unknown())
    .nullish()
    .describe('MCP servers, which the client starts. Requires a template with an MCP gateway.'),
  iam: iamSchema.optional().describe('Workload identities, which placeholders of network.rules may name.'),
  volumeMounts: z
    .array(
      z.object({
        name: z.string().min(1).max(128).describe('Name of a volume of the team. SoulBox also accepts its id.'),
        path: z
          .string()
          .describe(
            `Where it is mounted: an absolute path without \`.\`, \`..\` or a \`/\` at its end, ${volumePathMaxBytes} bytes at most.`,
          ),
        readOnly: z.boolean().default(false).describe('The sandbox cannot change it. SoulBox extension.'),
      }),
    )
    .max(volumeMountsMax)
    .optional()
    .describe('Volumes that the sandbox has at paths of its own. Requires the scope `run`, as their contents do.'),
  bucketMounts: z
    .array(
      z.object({
        name: z.string().min(1).max(128).describe('Name or id of a bucket of the team.'),
        path: z.string().describe('Where it is mounted, by the rules of `volumeMounts`.'),
        prefix: z
          .string()
          .default('')
          .describe(
            'Only objects whose keys begin with this, below the prefix of the bucket itself. It is a folder: a `/` at its end is added. Default: all.',
          ),
        readOnly: z.boolean().default(false).describe('The sandbox cannot change it.'),
      }),
    )
    .max(volumeMountsMax)
    .optional()
    .describe(
      `Buckets that the sandbox has as folders. Together with \`volumeMounts\` ${volumeMountsMax} at most, at paths that are not below each other. Requires the scope \`run\`. SoulBox extension.`,
    ),
};

/** `POST /sandboxes`: clients up to 2.49, Python, the CLI. Without `secure`, envd has no token. */
export const newSandboxSchema = z
  .object({ ...common, timeout: timeout.default(15), secure: z.boolean().default(false) })
  .meta({ id: 'NewSandbox' });

/** `POST /v2/sandboxes`: always secure. */
export const newSandboxV2Schema = z.object({ ...common, timeout: timeout.default(300) }).meta({ id: 'NewSandboxV2' });

export type NewSandbox = z.infer<typeof newSandboxSchema>;
