import { parseArgs } from 'node:util';
import { mountFs } from '@soulbox/fuse';
import { createVolumeFs } from '../mount/volume-fs.ts';
import { openVolume } from '../volume/open.ts';

/**
 * A process that serves a volume under one or more mounts: `DATA ID [--as-service] [--read-only MOUNT_POINT]
 * MOUNT_POINT...`. Prints `ready`, and a line for each fault. The end of its standard input unmounts.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'as-service': { type: 'boolean', default: false }, 'read-only': { type: 'string' } },
});
const [data = '', id = '', ...mountPoints] = positionals;
const asService = values['as-service'];
/** How long the kernel may take to end a mount that is unmounted. Milliseconds. */
const unmountMs = 5000;
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const volume = await openVolume(data, id);
const isShared = asService || mountPoints.length > 1;
/** How long the kernel keeps names: as in the service, for long, or not at all. */
const ttlMs = asService ? 250 : isShared ? 0 : 60_000;
const sessions = await Promise.all(
  mountPoints.map((mountPoint) => {
    const isReadOnly = mountPoint === values['read-only'];
    const fs = createVolumeFs(volume, { mount: mountPoint, ttlMs: () => ttlMs, isShared, isReadOnly });
    const onFault = (error: unknown): void => {
      print(`fault ${String(error)}`);
    };
    return mountFs(fs, { mountPoint, locks: isShared, readOnly: isReadOnly, onFault });
  }),
);
print('ready');
process.stdin.resume().once('end', () => {
  const unmount = async (): Promise<void> => {
    for (const session of sessions) {
      // A sandbox or a part of a server that was started meanwhile may have the mount in its own namespace, for long.
      const late = setTimeout(() => void session.abort().catch(() => undefined), unmountMs);
      await session.unmount();
      clearTimeout(late);
    }
    await volume[Symbol.asyncDispose]();
    process.stdin.destroy();
    print('unmounted');
  };
  unmount().catch((error: unknown) => {
    print(`fault ${String(error)}`);
    process.exitCode = 1;
    return Promise.all(sessions.map((session) => session.abort()));
  });
});
