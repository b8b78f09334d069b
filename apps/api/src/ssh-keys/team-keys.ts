import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import { mayRun } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { addSshKey, makeSshKey } from './make-key.ts';
import { newSshKeySchema, sshKeyNotFound, sshKeyParams, sshKeySchema, sshKeyToWire } from './schemas.ts';

const tags = ['ssh keys'];

/** Keys of a team: whoever holds one enters the sandboxes of the team. */
export function addTeamSshKeyRoutes(app: ApiApp, context: ApiContext): void {
  const { records, clock } = context;

  app.get(
    '/ssh-keys',
    {
      schema: { tags, summary: 'List the SSH keys of the team', response: { 200: z.array(sshKeySchema), ...errors() } },
    },
    async (request) => {
      const owner = { kind: 'team', teamId: callerOf(request).team.id } as const;
      return (await records.sshKeys.list(owner)).map(sshKeyToWire);
    },
  );

  app.post(
    '/ssh-keys',
    {
      schema: {
        tags,
        summary: 'Add a public key that may enter the sandboxes of the team by SSH',
        body: newSshKeySchema,
        response: { 201: sshKeySchema, ...errors(400, 403, 409, 413, 415) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      // What a key does not have itself, it cannot give.
      if (!mayRun(caller))
        throw new SoulBoxError(
          'scope_missing',
          `This ${caller.kind} does not have the scope "run", and cannot add an SSH key, which does.`,
        );
      const owner = { kind: 'team', teamId: caller.team.id } as const;
      const key = makeSshKey(owner, request.body, { now: clock.now(), latest: caller.expiresAt });
      await addSshKey(context, key, [auditNote(request, key.id)]);
      return reply.code(201).send(sshKeyToWire(key));
    },
  );

  app.delete(
    '/ssh-keys/:sshKeyID',
    {
      schema: {
        tags,
        summary: 'Remove an SSH key of the team; its open connections end',
        params: sshKeyParams,
        response: { 204: noContent, ...errors(404) },
      },
    },
    async (request, reply) => {
      const owner = { kind: 'team', teamId: callerOf(request).team.id } as const;
      const { sshKeyID } = request.params;
      if (!(await records.sshKeys.remove(owner, sshKeyID, [auditNote(request)]))) throw sshKeyNotFound(sshKeyID);
      return reply.code(204).send(null);
    },
  );
}
