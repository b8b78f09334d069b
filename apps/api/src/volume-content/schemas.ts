import { z } from 'zod';
import { volumeParams } from '../lookup/volume.ts';

/** Linux's limit of a path (PATH_MAX), without the NUL. */
const pathMaxBytes = 4095;
const idMax = 2 ** 32 - 2;
/** Permissions with setuid, setgid and sticky bit. */
const modeMax = 0o7777;
/** Folders within folders of one list. */
const depthMax = 64;

export const contentParams = volumeParams;

export const path = z
  .string()
  .min(1)
  .refine((text) => Buffer.byteLength(text) <= pathMaxBytes, `must have at most ${pathMaxBytes} bytes`)
  .refine((text) => !text.includes('\0'), 'must not contain a NUL')
  .describe('From the root of the volume on, with or without a leading `/`. It must not lead out of it.');

const attributes = {
  uid: z.coerce.number().int().min(0).max(idMax).optional(),
  gid: z.coerce.number().int().min(0).max(idMax).optional(),
  mode: z.coerce.number().int().min(0).max(modeMax).optional().describe('Permissions, as a decimal number.'),
};

const flagOf = (text: string): z.ZodType<boolean | undefined> =>
  z
    .enum(['true', 'false'])
    .optional()
    .transform((sent) => (sent === undefined ? undefined : sent === 'true'))
    .describe(text);

export const pathQuery = z.object({ path });
export const listQuery = z.object({
  path,
  depth: z.coerce.number().int().min(1).max(depthMax).default(1).describe('How many levels of folders are listed.'),
});
export const makeDirQuery = z.object({
  path,
  ...attributes,
  force: flagOf('Whether missing parents are made too, and a folder that exists is no error.'),
});
export const writeQuery = z.object({
  path,
  ...attributes,
  force: flagOf('`false`: a file that exists is an error. Default: its contents are replaced.'),
});

export const renameQuery = z.object({
  path,
  to: path.describe('Its new path, in the same volume.'),
  force: flagOf('`false`: a path that exists is an error. Default: a file or an empty folder is replaced.'),
});

export const attributesSchema = z
  .object({
    uid: z.int().min(0).max(idMax).optional(),
    gid: z.int().min(0).max(idMax).optional(),
    mode: z.int().min(0).max(modeMax).optional(),
  })
  .meta({ id: 'VolumeEntryAttributes' });

export const entrySchema = z
  .object({
    name: z.string(),
    type: z.enum(['unknown', 'file', 'directory', 'symlink']),
    path: z.string(),
    size: z.int(),
    mode: z.int(),
    uid: z.int(),
    gid: z.int(),
    atime: z.iso.datetime(),
    mtime: z.iso.datetime(),
    ctime: z.iso.datetime(),
    target: z.string().optional().describe('Of a symbolic link.'),
  })
  .meta({ id: 'VolumeEntryStat', description: 'A file, folder or link in a volume.' });
