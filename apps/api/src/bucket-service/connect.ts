import { callHttpService } from '@soulbox/rpc/http-call';
import type { BucketService } from './bucket-service.ts';

/** It repeats a call that its store does not answer for up to a minute. */
const silenceMs = 150_000;

/** Calls the bucket service on its socket. `wake` starts it if it does not run: it is called when nothing listens. */
export function connectBucketService(socketPath: string, wake: () => void): BucketService {
  const service = { socketPath, wake, name: 'bucket service', unavailable: 'buckets_unavailable', silenceMs } as const;
  return {
    async check({ teamId, bucketId, signal }) {
      const path = ['', teamId, bucketId, 'check'].map(encodeURIComponent).join('/');
      const answer = await callHttpService({ method: 'GET', path, signal }, service);
      answer.destroy();
    },
  };
}
