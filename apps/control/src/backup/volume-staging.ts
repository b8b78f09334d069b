import { callHttpService } from '@soulbox/rpc/http-call';
import type { VolumeContents } from '@soulbox/storage';

/** The volume service, as a backup uses it (apps/volumes/src/staging). */
export interface VolumeStaging {
  /** Begins a backup: nothing of the one before is left. */
  begin(signal: AbortSignal): Promise<void>;
  /** Returns when the volume is saved, as the service does. Throws its errors, and `volumes_unavailable`. */
  finish(volume: VolumeContents, signal: AbortSignal): Promise<void>;
  /** Ends the backup, and removes what it has. */
  drop(signal: AbortSignal): Promise<void>;
}

/** `wake` starts the service if it does not run. */
export function connectVolumeStaging(socketPath: string, wake: () => void): VolumeStaging {
  // It is silent until a volume is saved.
  const service = {
    socketPath,
    wake,
    name: 'volume service',
    unavailable: 'volumes_unavailable',
    silenceMs: 0,
  } as const;
  const call = async (method: 'POST' | 'DELETE', path: string, signal: AbortSignal): Promise<void> => {
    const answer = await callHttpService({ method, path, signal }, service);
    answer.destroy();
  };
  return {
    begin: async (signal) => await call('POST', '/stage', signal),
    finish: async ({ teamId, groupId, id }, signal) =>
      await call('POST', ['', teamId, groupId, id, 'stage'].map(encodeURIComponent).join('/'), signal),
    drop: async (signal) => await call('DELETE', '/stage', signal),
  };
}
