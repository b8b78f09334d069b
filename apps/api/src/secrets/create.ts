import { randomId, Secret, SoulBoxError } from '@soulbox/base';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { secretsMax } from '../limits.ts';
import { hostFacts } from './hosts.ts';
import { idPrefix, newSecretSchema, placeOfVersion, secretSchema, secretToWire } from './schemas.ts';

export function addCreateSecretRoute(app: ApiApp, context: ApiContext): void {
  const { records, keyring, clock, logger } = context;

  app.post(
    '/secrets',
    {
      schema: {
        tags: ['secrets'],
        summary: 'Create a secret with its first version',
        body: newSecretSchema,
        response: { 201: secretSchema, ...errors(400, 409, 413, 415) },
      },
      config: { auditFacts: hostFacts },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { name, value, metadata, hosts } = request.body;
      const now = clock.now();
      const times = { createdAt: now, updatedAt: now };
      const secret = { id: randomId(20), teamId: team.id, name, currentVersion: 1, metadata, hosts, ...times };
      const sealed = await keyring.seal(new Secret(value), placeOfVersion(secret, 1));
      const note = auditNote(request, idPrefix + secret.id);
      const created = await records.secrets.create(secret, sealed, secretsMax, note);
      if (created === 'name_taken')
        throw new SoulBoxError('name_taken', `The team already has a secret "${name}". Add a version to it.`);
      if (created === 'limit_reached')
        throw new SoulBoxError(
          'limit_exceeded',
          `The team has reached the maximum number of secrets (${secretsMax}). Delete one.`,
        );
      logger.info({ team: team.id, secretId: secret.id }, 'secret created');
      return reply.code(201).send(secretToWire(secret));
    },
  );
}
