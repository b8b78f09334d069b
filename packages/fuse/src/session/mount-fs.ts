import type { FuseFs } from '../fuse-fs.ts';
import { openMount, type MountOptions } from './mount.ts';
import { serve, type ServeOptions, type Serving } from './serve.ts';

export interface FuseSession extends Omit<Serving, 'stop' | 'abandon'>, AsyncDisposable {
  readonly mountPoint: string;
  /** The number in /sys/fs/fuse/connections. */
  readonly connection: number;
  /** Throws if the mount is in use. Settled when no other mount namespace has a copy of it either. */
  readonly unmount: () => Promise<void>;
  /**
   * Every call of now and later fails, also in copies of other mount namespaces, and the mount is taken away. Does nothing
   * to a mount that has ended.
   */
  readonly abort: () => Promise<void>;
}

/** Mounts a file system and serves it in this process. When this process ends, so does the mount: see `superviseMounts`. */
export async function mountFs(fs: FuseFs, options: MountOptions & ServeOptions): Promise<FuseSession> {
  const mounted = await openMount(options);
  let serving: Serving;
  try {
    serving = await serve(fs, { fd: mounted.fd, negotiated: mounted.negotiated, isTakeover: false }, options);
  } catch (error) {
    await mounted.abort();
    mounted.close();
    throw error;
  }
  const { closed } = serving;
  const unmount = async (): Promise<void> => {
    await mounted.unmount();
    await closed;
  };
  const abort = async (): Promise<void> => {
    await mounted.abort();
    // It may be mounted in other namespaces only, where this process cannot name it.
    await serving.abandon();
    await closed;
  };
  return {
    ...{ notify: serving.notify, stats: serving.stats, closed },
    ...{ mountPoint: mounted.mountPoint, connection: mounted.connection },
    ...{ unmount, abort },
    [Symbol.asyncDispose]: abort,
  };
}
