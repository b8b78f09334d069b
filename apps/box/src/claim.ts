import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepStage } from '@soulbox/runner/stage-folder';
import { userOf } from '@soulbox/process';
import { openDiskReserve } from '@soulbox/storage';
import { refuseHalfRestored } from './backup/half-restored.ts';
import { sweepVolumeStage } from './backup/volume-stage.ts';
import { giveMasterKeyFile, settleBuckets, settleDataFolder, settleVolumes } from './data-folder.ts';
import type { BoxConfig } from './config.ts';
import { claimInstance } from './instance-lock.ts';
import { claimDataDirectory, removeServerFile } from './server-file.ts';

/**
 * Makes this process the only server of its data folder and of its instance number, until it is disposed. Throws
 * `illegal_transition`.
 */
export async function claimServer({ dataDirectory, gateway, runner, keyring }: BoxConfig): Promise<AsyncDisposable> {
  await using claimed = new AsyncDisposableStack();
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  await refuseHalfRestored(dataDirectory);
  openDiskReserve(join(dataDirectory, 'reserve')).makeRoom();
  await mkdir(join(dataDirectory, 'run'), { recursive: true, mode: 0o700 });
  await chmod(dataDirectory, 0o700);
  const { host, port, tlsPort } = gateway;
  await claimDataDirectory(dataDirectory, { instance: runner.instance, host, port, tlsPort });
  claimed.defer(async () => await removeServerFile(dataDirectory));
  claimed.use(await claimInstance(runner.instance, dataDirectory));
  await sweepStage(dataDirectory);
  const user = userOf(runner.instance, 'control');
  await settleDataFolder(dataDirectory, user);
  const volumesUser = userOf(runner.instance, 'volumes');
  await sweepVolumeStage(dataDirectory, volumesUser);
  await settleVolumes(dataDirectory, volumesUser);
  await settleBuckets(dataDirectory, userOf(runner.instance, 'buckets'));
  await giveMasterKeyFile(keyring.masterKeyFile, user);
  return claimed.move();
}
