import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { bucketParams, getBucket } from '../lookup/bucket.ts';
import { bucketSchema, bucketToWire } from './schemas.ts';

export function addGetBucketRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/buckets/:bucketID',
    {
      schema: {
        tags: ['buckets'],
        summary: 'Get a bucket, without its credentials',
        params: bucketParams,
        response: { 200: bucketSchema, ...errors(404) },
      },
    },
    async (request) => bucketToWire(await getBucket(context, callerOf(request).team, request.params.bucketID)),
  );
}
