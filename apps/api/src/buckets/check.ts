import { SoulBoxError } from '@soulbox/base';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { bucketParams, getBucket } from '../lookup/bucket.ts';
import { getBucketService } from './get-bucket-service.ts';

/** The service repeats a call that the store does not answer for up to a minute. */
const checkMs = 120_000;

export function addCheckBucketRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/buckets/:bucketID/check',
    {
      schema: {
        tags: ['buckets'],
        summary: 'Ask the store of a bucket for a page of its list, with the credentials that are stored',
        description:
          'Returns the error of the store: 403 if it refuses the credentials, 404 if it has no such bucket, 429 if it asks for fewer requests, 503 if it does not answer. The header `X-Soulbox-Reason` has the reason, such as `storage_access_denied`.',
        params: bucketParams,
        response: { 204: noContent, ...errors(403, 404, 501, 503) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { id } = await getBucket(context, team, request.params.bucketID);
      const service = getBucketService(context);
      using _slot = context.transfers.take('bucket check', team.id);
      const timeout = AbortSignal.timeout(checkMs);
      try {
        await service.check({ teamId: team.id, bucketId: id, signal: AbortSignal.any([context.stopping, timeout]) });
      } catch (thrown) {
        if (!timeout.aborted) throw thrown;
        throw new SoulBoxError('storage_unavailable', `The store did not answer within ${checkMs / 1000} s.`);
      }
      return await reply.code(204).send(null);
    },
  );
}
