import { flushCompileCache } from 'node:module';
import { serveInherited } from '@soulbox/fuse';
import { createVolumeFs } from '../mount/volume-fs.ts';
import { openVolume } from '../volume/open.ts';

/** A server of one mount under a supervisor: `DATA ID`. */
const [data = '', id = ''] = process.argv.slice(2);
// It is killed, and the next one compiles the same.
flushCompileCache();
await serveInherited(
  async ({ mountPoint }) => createVolumeFs(await openVolume(data, id), { mount: mountPoint, ttlMs: () => 60_000 }),
  {
    onFault(error) {
      process.stderr.write(`${String(error)}\n`);
    },
  },
);
