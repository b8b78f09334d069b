import { Secret, SoulBoxError } from '@soulbox/base';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { secretVersionsKept } from '../limits.ts';
import { getSecret } from './find.ts';
import { idPrefix, newVersionSchema, placeOfVersion, secretParams, secretSchema, secretToWire } from './schemas.ts';

/** How often another request may add a version between our reading and our writing. */
const attempts = 20;

export function addSecretVersionRoute(app: ApiApp, context: ApiContext): void {
  const { records, keyring, clock, logger } = context;

  app.post(
    '/secrets/:secretID',
    {
      schema: {
        tags: ['secrets'],
        summary: 'Replace the value of a secret: adds a version, which becomes the current one',
        description: `The ${secretVersionsKept} newest versions are kept.`,
        params: secretParams,
        body: newVersionSchema,
        response: { 200: secretSchema, ...errors(400, 404, 409, 413, 415) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const { value, metadata } = request.body;
      for (let attempt = 0; attempt < attempts; attempt++) {
        const secret = await getSecret(context, team.id, request.params.secretID);
        const number = secret.currentVersion + 1;
        // The number is a part of the place, so that an older value cannot be put back under a newer number.
        const sealedValue = await keyring.seal(new Secret(value), placeOfVersion(secret, number));
        const version = { teamId: team.id, id: secret.id, number, sealedValue, metadata };
        const changed = await records.secrets.addVersion(
          { ...version, now: clock.now(), keep: secretVersionsKept },
          auditNote(request, idPrefix + secret.id),
        );
        if (changed === undefined) continue;
        logger.info({ team: team.id, secretId: secret.id, version: number }, 'secret changed');
        return secretToWire(changed);
      }
      throw new SoulBoxError('illegal_transition', 'Other requests change this secret at the moment. Retry.');
    },
  );
}
