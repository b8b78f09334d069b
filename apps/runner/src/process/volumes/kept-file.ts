import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError, writeFileAtomic } from '@soulbox/base';
import { volumeSchema } from '../../registry/record.ts';

const negotiatedSchema = z.object({ minor: z.number(), maxWriteBytes: z.number(), flags: z.array(z.string()) });

const keptSchema = z.array(
  z.object({
    holder: z.object({ pid: z.number(), startTicks: z.number() }),
    mounts: z.array(
      z.object({
        mountId: z.string(),
        /** Of the device, in the holder. */
        fd: z.number(),
        /** What the kernel agreed on, which it says only once. */
        negotiated: negotiatedSchema,
        volume: volumeSchema,
      }),
    ),
  }),
);

/** What keeps the mounts of one sandbox, a holder for each `open`. */
export type Kept = z.infer<typeof keptSchema>;
export type KeptMount = Kept[number]['mounts'][number];

/** In the folder of the instance in /run: a reboot ends what it names. */
export interface KeptFiles {
  /** Empty if there is none, or if it cannot be read. */
  read(sandboxId: string): Promise<Kept>;
  write(sandboxId: string, kept: Kept): Promise<void>;
  remove(sandboxId: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

export function openKeptFiles(folder: string): KeptFiles {
  const fileOf = (sandboxId: string): string => join(folder, `${sandboxId}.json`);
  return {
    async read(sandboxId) {
      try {
        return keptSchema.parse(JSON.parse(await readFile(fileOf(sandboxId), 'utf8')));
      } catch {
        return [];
      }
    },
    async write(sandboxId, kept) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFileAtomic(fileOf(sandboxId), JSON.stringify(kept));
    },
    async remove(sandboxId) {
      await rm(fileOf(sandboxId), { force: true });
    },
    async list() {
      try {
        return (await readdir(folder)).flatMap((name) => /^([a-z0-9]+)\.json$/.exec(name)?.[1] ?? []);
      } catch (error) {
        if (isNodeError(error) && error.code === 'ENOENT') return [];
        throw error;
      }
    },
  };
}
