import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { openDiskReserve } from '@soulbox/storage';
import type { DiskReserve } from '@soulbox/storage';
import { silenceMs } from './limits.ts';
import { createHandler } from './requests/handle.ts';
import { createOpenVolumes } from './volumes/open-volumes.ts';

export interface VolumeServerOptions {
  /** The folder of the volumes. */
  readonly directory: string;
  /** A Unix socket that is already bound, or its path. */
  readonly place: { readonly fd: number } | { readonly path: string };
  readonly logger: Logger;
}

/** Disposing ends open calls and writes all volumes to the disk. */
export type VolumeServer = AsyncDisposable;

/** Beside the folders of the teams, whose names are ids. */
const reserveName = '.reserve';
/** When the disk has room again, the reserve is restored within this time. */
const reserveEveryMs = 5000;
/** How long open calls may continue when the service stops. */
const drainMs = 3000;

/**
 * Serves the contents of volumes to the control plane, over HTTP on a Unix socket that nobody else can open
 * (docs/decisions/066-volume-service.md).
 */
export async function startVolumeService({ directory, place, logger }: VolumeServerOptions): Promise<VolumeServer> {
  await using started = new AsyncDisposableStack();
  const reserve = openDiskReserve(join(directory, reserveName));
  started.use(keepReserve(reserve));
  const volumes = started.use(createOpenVolumes(directory, { reserve, logger }));
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 75_000 }, createHandler(volumes, logger));
  server.setTimeout(silenceMs);
  server.listen(place);
  await once(server, 'listening');
  // A failed accept (too many open files) must not end the process.
  server.on('error', (err) => logger.error({ err }, 'the volume service could not accept a connection'));
  started.defer(async () => {
    const late = setTimeout(() => server.closeAllConnections(), drainMs);
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    await closed;
    clearTimeout(late);
  });
  const owned = started.move();
  return { [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

/** Files can be removed on a full disk: the metadata of a volume use the reserve for that. */
function keepReserve(reserve: DiskReserve): AsyncDisposable {
  let restoring = reserve.restore();
  const timer = setInterval(() => {
    restoring = reserve.restore();
  }, reserveEveryMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await restoring;
    },
  };
}
