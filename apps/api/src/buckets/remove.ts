import { SoulBoxError } from '@soulbox/base';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { bucketNotFound, bucketParams, getBucket } from '../lookup/bucket.ts';
import { nameMounting } from '../lookup/mounting.ts';

export function addRemoveBucketRoute(app: ApiApp, context: ApiContext): void {
  const { records, logger } = context;

  app.delete(
    '/buckets/:bucketID',
    {
      schema: {
        tags: ['buckets'],
        summary: 'Forget a bucket and its credentials. Nothing in the store is changed.',
        params: bucketParams,
        response: { 204: noContent, ...errors(404, 409) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { id, name } = await getBucket(context, team, request.params.bucketID);
      // As for volumes, a create that goes on at the same time fails instead, when it mounts.
      const mounting = await nameMounting(context, team.id, id);
      if (mounting !== undefined)
        throw new SoulBoxError(
          'bucket_in_use',
          `Bucket "${name}" is mounted in sandboxes: ${mounting}. Kill them first.`,
        );
      if (!(await records.buckets.remove(team.id, id, auditNote(request, id))))
        throw bucketNotFound(request.params.bucketID);
      logger.info({ team: team.id, bucketId: id }, 'bucket deleted');
      return reply.code(204).send(null);
    },
  );
}
