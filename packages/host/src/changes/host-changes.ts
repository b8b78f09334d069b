import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { z } from 'zod';

/** Separate from the data: a host may have several data folders, and they may be removed before the rest. */
export const hostChangesFile = '/var/lib/soulbox-host/changes.json';

const changesSchema = z.object({
  formatVersion: z.literal(1),
  /** The boot in which the kernel was changed. The next boot does not have these changes. */
  bootId: z.string(),
  /** By name: the value before the first change, and the value that was set last. */
  sysctls: z.record(z.string(), z.object({ before: z.string(), set: z.string() })),
  /** Mount points of v1 controllers that setup mounted. */
  cgroupMounts: z.array(z.string()),
  /** Controllers that setup enabled below the root of the v2 tree. */
  cgroupControllers: z.array(z.string()),
  fastGroupMoves: z.boolean(),
  /** Debian packages that setup installed, in any boot. Their dependencies are not listed. */
  packages: z.array(z.string()),
});

/** The changes that setup made on this host, as far as undoing them needs a record. */
export type HostChanges = Omit<z.infer<typeof changesSchema>, 'formatVersion' | 'bootId'>;

const none: HostChanges = {
  sysctls: {},
  cgroupMounts: [],
  cgroupControllers: [],
  fastGroupMoves: false,
  packages: [],
};

/**
 * Returns the changes of this boot, and packages. Throws `config_invalid` for a malformed file, which must not be
 * treated as an empty one.
 */
export async function readHostChanges(file = hostChangesFile): Promise<HostChanges> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return none;
  const { bootId, formatVersion: _, ...changes } = parseChanges(file, text);
  return bootId === (await readBootId()) ? changes : { ...none, packages: changes.packages };
}

function parseChanges(file: string, text: string): z.infer<typeof changesSchema> {
  try {
    return changesSchema.parse(JSON.parse(text));
  } catch (cause) {
    const message = `${file} cannot be read, so the changes of set-up on this host are unknown. Delete it to continue without it.`;
    throw new SoulBoxError('config_invalid', message, { cause });
  }
}

/** Adds to the recorded changes. A kernel parameter keeps its value from before the first change. */
export async function noteHostChanges(more: Partial<HostChanges>, file = hostChangesFile): Promise<void> {
  const known = await readHostChanges(file);
  const sysctls = { ...known.sysctls };
  for (const [name, { before, set }] of Object.entries(more.sysctls ?? {}))
    sysctls[name] = { before: sysctls[name]?.before ?? before, set };
  const union = (one: readonly string[], other: readonly string[] = []): string[] => [...new Set([...one, ...other])];
  const changes: z.infer<typeof changesSchema> = {
    formatVersion: 1,
    bootId: await readBootId(),
    sysctls,
    cgroupMounts: union(known.cgroupMounts, more.cgroupMounts),
    cgroupControllers: union(known.cgroupControllers, more.cgroupControllers),
    fastGroupMoves: known.fastGroupMoves || more.fastGroupMoves === true,
    packages: union(known.packages, more.packages),
  };
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  await writeFileAtomic(file, `${JSON.stringify(changes, undefined, 2)}\n`, { mode: 0o644, durable: true });
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
