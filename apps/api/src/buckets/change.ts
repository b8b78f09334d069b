import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { bucketNotFound, bucketParams, getBucket } from '../lookup/bucket.ts';
import { bucketFacts } from './audit-facts.ts';
import { parseBucketUrl } from './bucket-url.ts';
import { parseCredentials, placeOfCredentials } from './credentials.ts';
import { bucketChangesSchema, bucketSchema, bucketToWire } from './schemas.ts';

export function addChangeBucketRoute(app: ApiApp, context: ApiContext): void {
  const { records, keyring, clock, logger } = context;

  app.patch(
    '/buckets/:bucketID',
    {
      schema: {
        tags: ['buckets'],
        summary: 'Replace the credentials of a bucket, or allow or forbid writes',
        description: 'Sandboxes that have it mounted use the new values within ten seconds.',
        params: bucketParams,
        body: bucketChangesSchema,
        response: { 200: bucketSchema, ...errors(400, 404, 413, 415) },
      },
      config: { auditFacts: bucketFacts },
    },
    async (request) => {
      const { team } = callerOf(request);
      const bucket = await getBucket(context, team, request.params.bucketID);
      const { id, teamId, url } = bucket;
      const { credentials, readOnly: isReadOnly } = request.body;
      let sealedCredentials = credentials === null ? '' : undefined;
      if (credentials !== null && credentials !== undefined) {
        // The operator may have taken an exception back since the create.
        const secret = parseCredentials(parseBucketUrl(context, url), credentials);
        sealedCredentials = await keyring.seal(secret, placeOfCredentials(bucket));
      }
      const change = { teamId, id, sealedCredentials, isReadOnly, now: clock.now() };
      const changed = await records.buckets.change(change, auditNote(request, id));
      if (changed === undefined) throw bucketNotFound(request.params.bucketID);
      logger.info({ team: teamId, bucketId: id, hasNewCredentials: credentials !== undefined }, 'bucket changed');
      return bucketToWire(changed);
    },
  );
}
