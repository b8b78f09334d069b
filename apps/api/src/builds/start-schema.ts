import { isolations } from '@soulbox/contract';
import { z } from 'zod';
import { fileHashSchema } from '../build-files/hash-schema.ts';
import { buildLimits } from '../limits.ts';

/** Texts that become arguments of programs, where a NUL would end them. */
const text = z
  .string()
  .max(buildLimits.textChars)
  .refine((value) => !value.includes('\0'), 'must not contain NUL');
const maybe = <T>(schema: z.ZodType<T>) => schema.nullish().transform((value) => value ?? undefined);
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

/** Step types of the clients' builders. `ADD` and `ARG` are synonyms of `COPY` and `ENV`. */
export const stepTypes = ['RUN', 'COPY', 'ADD', 'WORKDIR', 'USER', 'ENV', 'ARG'] as const;

const stepSchema = z
  .object({
    type: z.enum(stepTypes),
    args: z
      .array(text)
      .max(buildLimits.stepArgs)
      .nullish()
      .transform((args) => args ?? []),
    force: flag.describe('Runs this step and all later ones even if they are cached.'),
    filesHash: maybe(fileHashSchema).describe('Hash of the archive that the COPY step unpacks.'),
  })
  .meta({ id: 'TemplateStep' });

const word = z.string().min(1).max(4096);
const registrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('registry'), username: word, password: word }),
  z.object({ type: z.literal('aws'), awsAccessKeyId: word, awsSecretAccessKey: word, awsRegion: word }),
  z.object({ type: z.literal('gcp'), serviceAccountJson: z.string().min(2).max(65_536) }),
]);

export const buildStartSchema = z
  .object({
    fromImage: maybe(z.string().trim().min(1).max(1024)).describe('Reference of a container image.'),
    fromTemplate: maybe(z.string().min(1).max(256)).describe(
      'Id or name of a template. Cannot be combined with an image.',
    ),
    fromImageRegistry: maybe(registrySchema).describe('Credentials of a private registry. They are not stored.'),
    startCmd: maybe(text).describe(
      'Command that runs after the steps. Its processes are running in every sandbox of the template.',
    ),
    readyCmd: maybe(text).describe('Command that succeeds once the start command is ready.'),
    force: flag.describe('Ignores the cache.'),
    isolation: maybe(z.enum(isolations)).describe(
      'Isolation of the build and of all sandboxes of the template. Can also be set by the header `X-Soulbox-Isolation`. ' +
        'Default: that of the key, of the base template, or of the server. SoulBox extension.',
    ),
    steps: z
      .array(stepSchema)
      .max(buildLimits.steps)
      .nullish()
      .transform((steps) => steps ?? []),
  })
  .refine((body) => (body.fromImage === undefined) !== (body.fromTemplate === undefined), {
    error: 'must have either fromImage or fromTemplate',
  })
  .meta({ id: 'TemplateBuildStartV2' });

export type BuildStart = z.infer<typeof buildStartSchema>;
export type BuildStep = BuildStart['steps'][number];
