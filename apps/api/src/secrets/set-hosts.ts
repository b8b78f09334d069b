import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { getSecret } from './find.ts';
import { hostFacts } from './hosts.ts';
import { changedHostsSchema, idPrefix, secretNotFound, secretParams, secretSchema, secretToWire } from './schemas.ts';

export function addSetSecretHostsRoute(app: ApiApp, context: ApiContext): void {
  const { records, clock, logger } = context;

  app.patch(
    '/secrets/:secretID',
    {
      schema: {
        tags: ['secrets'],
        summary: 'Replace the hosts to which a secret may be sent',
        description:
          'They belong to the secret, not to a version: older and newer values go to the same hosts. In effect for the next connection.',
        params: secretParams,
        body: changedHostsSchema,
        response: { 200: secretSchema, ...errors(400, 404, 413, 415) },
      },
      config: { auditFacts: hostFacts },
    },
    async (request) => {
      const { team } = callerOf(request);
      const { id } = await getSecret(context, team.id, request.params.secretID);
      const change = { teamId: team.id, id, hosts: request.body.hosts, now: clock.now() };
      const changed = await records.secrets.setHosts(change, auditNote(request, idPrefix + id));
      if (changed === undefined) throw secretNotFound(request.params.secretID);
      logger.info({ team: team.id, secretId: id, hosts: changed.hosts.length }, 'hosts of a secret changed');
      return secretToWire(changed);
    },
  );
}
