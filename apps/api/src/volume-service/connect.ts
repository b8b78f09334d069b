import { callHttpService, readJson } from '@soulbox/rpc/http-call';
import { storageAnswerSchema } from './volume-service.ts';
import type { VolumeCall, VolumeService } from './volume-service.ts';

/** It writes a large file to the disk before it answers. */
const silenceMs = 300_000;

/**
 * Calls the volume service on its socket. `wake` starts it if it does not run: it is called when nothing listens, so an
 * idle server without volumes has no such process.
 */
export function connectVolumeService(socketPath: string, wake: () => void): VolumeService {
  const service = { socketPath, wake, name: 'volume service', unavailable: 'volumes_unavailable', silenceMs } as const;
  return {
    async call(call) {
      const answer = await callHttpService({ ...call, path: pathOf(call) }, service);
      return { status: answer.statusCode ?? 0, headers: answer.headers, body: answer };
    },
    async storage(signal) {
      const answer = await callHttpService({ method: 'GET', path: '/storage', signal }, service);
      return storageAnswerSchema.parse(await readJson(answer)).figures;
    },
  };
}

function pathOf({ teamId, groupId, volumeId, what, query = {} }: VolumeCall): string {
  const sent = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  const path = ['', teamId, groupId, volumeId, what].map(encodeURIComponent).join('/');
  return `${path}?${new URLSearchParams(sent).toString()}`;
}
