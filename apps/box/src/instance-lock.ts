import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { findProcess, isRunning, SoulBoxError, writeFileAtomic } from '@soulbox/base';

const ownerSchema = z.object({ pid: z.number().int().positive(), startTicks: z.number(), dataDirectory: z.string() });

/**
 * Folder of the files that name the owner of an instance number. It is in memory because a reboot removes all kernel
 * objects of an instance.
 */
export const instancesDirectory = '/run';

/**
 * Makes this process the only server of an instance number. Two servers with the same number would treat each other's
 * sandboxes as strays and remove them. Throws `illegal_transition` naming the other server.
 */
export async function claimInstance(
  instance: number,
  dataDirectory: string,
  directory = instancesDirectory,
): Promise<AsyncDisposable> {
  const folder = join(directory, `soulbox-${instance}`);
  const file = join(folder, 'server.json');
  const self = findProcess(process.pid);
  if (self === undefined) throw new Error('/proc is not mounted');
  await refuseOtherOwner(instance, dataDirectory, directory);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${JSON.stringify({ ...self, dataDirectory })}\n`);
  return {
    async [Symbol.asyncDispose]() {
      if ((await findOwner(file))?.pid !== process.pid) return;
      await rm(file, { force: true });
      // The folder stays while it contains anything of the instance.
      await rmdir(folder).catch(() => undefined);
    },
  };
}

/** Throws `illegal_transition` when a server of another data folder has this instance number. */
export async function refuseOtherOwner(
  instance: number,
  dataDirectory: string,
  directory = instancesDirectory,
): Promise<void> {
  const owner = await findInstanceOwner(instance, directory);
  if (owner === undefined || owner.dataDirectory === dataDirectory) return;
  throw new SoulBoxError(
    'illegal_transition',
    `Another server (pid ${owner.pid}, data in ${owner.dataDirectory}) has instance number ${instance} on this host. ` +
      'Stop it, or choose another instance number: --instance 0 to 14.',
  );
}

/** The process and the data folder of the running server with this instance number. */
export async function findInstanceOwner(
  instance: number,
  directory = instancesDirectory,
): Promise<z.infer<typeof ownerSchema> | undefined> {
  return await findOwner(join(directory, `soulbox-${instance}`, 'server.json'));
}

/** Removes the claim of a dead server; the claim of a running server stays. */
export async function dropDeadClaim(instance: number, directory = instancesDirectory): Promise<void> {
  if ((await findInstanceOwner(instance, directory)) !== undefined) return;
  await rm(join(directory, `soulbox-${instance}`, 'server.json'), { force: true });
}

/** Whether the last server of the instance, running or dead, served this data folder. */
export async function wasInstanceOf(
  dataDirectory: string,
  instance: number,
  directory = instancesDirectory,
): Promise<boolean> {
  try {
    const text = await readFile(join(directory, `soulbox-${instance}`, 'server.json'), 'utf8');
    return ownerSchema.safeParse(JSON.parse(text)).data?.dataDirectory === dataDirectory;
  } catch {
    return false;
  }
}

/** The owner in the file, if its process is alive. */
async function findOwner(file: string): Promise<z.infer<typeof ownerSchema> | undefined> {
  try {
    const owner = ownerSchema.safeParse(JSON.parse(await readFile(file, 'utf8'))).data;
    return owner !== undefined && isRunning(owner) ? owner : undefined;
  } catch {
    // A missing file, or an incomplete one after a crash of the host, means no owner.
    return undefined;
  }
}
