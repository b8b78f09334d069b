import { randomId, SoulBoxError } from '@soulbox/base';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { raiseTeam } from '../quotas/budgets.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';
import { bucketFacts } from './audit-facts.ts';
import { parseBucketUrl } from './bucket-url.ts';
import { parseCredentials, placeOfCredentials } from './credentials.ts';
import { bucketSchema, bucketToWire, newBucketSchema } from './schemas.ts';

export function addCreateBucketRoute(app: ApiApp, context: ApiContext): void {
  const { records, keyring, quotas, clock, logger } = context;

  app.post(
    '/buckets',
    {
      schema: {
        tags: ['buckets'],
        summary: 'Make a bucket of an object store known, so that sandboxes can mount it',
        description: 'Nothing is asked of the store: `POST /buckets/{bucketID}/check` does that.',
        body: newBucketSchema,
        response: { 201: bucketSchema, ...errors(400, 409, 413, 415) },
      },
      config: { auditFacts: bucketFacts },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { name, url, credentials, readOnly } = request.body;
      const kind = parseBucketUrl(context, url);
      const now = clock.now();
      const own = { id: `b${randomId(20)}`, teamId: team.id, createdAt: now, updatedAt: now };
      const secret = credentials === undefined ? undefined : parseCredentials(kind, credentials);
      const sealedCredentials = secret === undefined ? '' : await keyring.seal(secret, placeOfCredentials(own));
      const bucket = { ...own, name, url, sealedCredentials, isReadOnly: readOnly };
      const { buckets: limit } = await quotas.limitsOf(team.id);
      const created = await records.buckets.create(bucket, limit, auditNote(request, own.id));
      if (created === 'name_taken')
        throw new SoulBoxError('bucket_exists', `The team already has a bucket "${name}". Choose another name.`);
      if (created === 'limit_reached')
        throw new SoulBoxError(
          'limit_exceeded',
          `The team has reached the maximum number of buckets (${limit}). Delete one. ${raiseTeam('buckets')}`,
          { retryAfterSeconds: storedHintSeconds },
        );
      logger.info({ team: team.id, bucketId: own.id }, 'bucket created');
      return reply.code(201).send(bucketToWire({ ...bucket, hasCredentials: secret !== undefined }));
    },
  );
}
