import { SoulBoxError } from '@soulbox/base';
import { isolations } from '@soulbox/contract';
import { z } from 'zod';

/** Names as users type them: `[a-z0-9-_]`, up to 128. */
export const templateNameForm = /^[a-z0-9_-]{1,128}$/;
export const templateIdForm = /^[a-z0-9]{20}$/;

/** The content of template.json, version 1. */
const templateFile = z.object({
  formatVersion: z.literal(1),
  templateId: z.string().regex(templateIdForm),
  /** A template that lost its names to a newer one has none; running sandboxes still use it. */
  names: z.array(z.string().regex(templateNameForm)).max(64),
  cpuCount: z.number().int().min(1).max(64),
  memoryMb: z.number().int().min(128).max(1_048_576),
  diskMb: z.number().int().min(64).max(16_777_216),
  createdAt: z.iso.datetime(),
  /** Its source, for people: `debian:trixie`, `docker://IMAGE`, `tar:FILE`. */
  source: z.string().max(1000),
  defaultUser: z.string().regex(/^[a-z_][a-z0-9_-]{0,31}\$?$/),
  defaultWorkdir: z.string().startsWith('/').max(4096),
  environment: z.record(z.string().max(1000), z.string().max(65_536)),
  /**
   * Run once for the template, in a sandbox that all others are copied from. Absent: sandboxes begin with envd alone.
   */
  startCommand: z.string().min(1).max(65_536).optional(),
  readyCommand: z.string().min(1).max(65_536).optional(),
  /** The isolation of its sandboxes if their creator does not specify one. Absent: the server's setting. */
  isolation: z.enum(isolations).optional(),
  /**
   * Set on the root of an image that template builds start from. Such a root is nobody's template, and no list shows
   * it.
   */
  imageDigest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
  /** Size of rootfs/ on the disk when it was created. */
  sizeBytes: z.number().int().nonnegative(),
});

export type TemplateFile = z.infer<typeof templateFile>;

/** A template of the store. */
export interface Template extends Readonly<TemplateFile> {
  /** Host folder: the sandbox's root, with 0-based owners, never written once it is published. */
  readonly rootfs: string;
}

/** Whether users may create sandboxes from it directly. */
export function isListed(template: Template): boolean {
  return template.imageDigest === undefined;
}

/** Throws `bad_request` for an invalid name. */
export function parseTemplateName(text: string): string {
  if (templateNameForm.test(text)) return text;
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  throw new SoulBoxError(
    'bad_request',
    `${shown} is not a valid template name. Use 1 to 128 characters of a-z, 0-9, '-' and '_'.`,
  );
}

/** Parses template.json; throws an ordinary Error that describes the fault. */
export function parseTemplateFile(text: string): TemplateFile {
  const parsed = templateFile.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(z.prettifyError(parsed.error));
}
