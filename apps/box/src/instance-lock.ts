import { mkdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { findProcess, isRunning, SoulBoxError, writeFileAtomic } from '@soulbox/base';

const ownerSchema = z.object({ pid: z.number().int().positive(), startTicks: z.number(), dataDirectory: z.string() });

/** Says who owns an instance number; in memory, for a reboot takes all its kernel objects away. */
export const instancesDirectory = '/run';

/**
 * Makes this process the one server of an instance number. Two servers with the same number would take each other's sandboxes
 * for strays and remove them. Throws `illegal_transition` naming the other server.
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
      // Kept while anything of the instance is in it.
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

/** The process and the data folder of the server that has this instance number, if it runs. */
export async function findInstanceOwner(
  instance: number,
  directory = instancesDirectory,
): Promise<z.infer<typeof ownerSchema> | undefined> {
  return await findOwner(join(directory, `soulbox-${instance}`, 'server.json'));
}

/** Removes the claim of a server that died; that of one that runs stays. */
export async function dropDeadClaim(instance: number, directory = instancesDirectory): Promise<void> {
  if ((await findInstanceOwner(instance, directory)) !== undefined) return;
  await rm(join(directory, `soulbox-${instance}`, 'server.json'), { force: true });
}

/** Whether the last server of the instance, running or dead, was that of a data folder. */
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

/** The owner of the file if its process lives. */
async function findOwner(file: string): Promise<z.infer<typeof ownerSchema> | undefined> {
  try {
    const owner = ownerSchema.safeParse(JSON.parse(await readFile(file, 'utf8'))).data;
    return owner !== undefined && isRunning(owner) ? owner : undefined;
  } catch {
    // No file, or half a one of a host that crashed: nobody.
    return undefined;
  }
}
