import { z } from 'zod';
import { personOf } from '../auth/person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { notesForTeams, notesOfEnd } from '../sign-in/tell-teams.ts';
import { addSshKey, makeSshKey } from './make-key.ts';
import { newPersonalSshKeySchema, sshKeyNotFound, sshKeyParams, sshKeySchema, sshKeyToWire } from './schemas.ts';

const tags = ['people'];

/** Keys of a person, which open what the person's role in the team of a sandbox allows at that moment. */
export function addPersonalSshKeyRoutes(app: ApiApp, context: ApiContext): void {
  const { records, clock } = context;

  app.get(
    '/personal-ssh-keys',
    {
      config: { auth: 'person' },
      schema: {
        tags,
        summary: 'List the SSH keys of the signed-in person. SoulBox extension.',
        response: { 200: z.array(sshKeySchema), ...errors(403) },
      },
    },
    async (request) => {
      const owner = { kind: 'person', userId: personOf(request).user.id } as const;
      return (await records.sshKeys.list(owner)).map(sshKeyToWire);
    },
  );

  app.post(
    '/personal-ssh-keys',
    {
      config: { auth: 'person' },
      schema: {
        tags,
        summary: 'Add a public key with which the signed-in person enters sandboxes by SSH. SoulBox extension.',
        body: newPersonalSshKeySchema,
        response: { 201: sshKeySchema, ...errors(400, 403, 409, 413, 415) },
      },
    },
    async (request, reply) => {
      const person = personOf(request);
      const userId = person.user.id;
      // A token that was stolen must not outlive its own end.
      const latest = person.via === 'session' ? undefined : person.expiresAt;
      const key = makeSshKey({ kind: 'person', userId }, request.body, { now: clock.now(), latest });
      const target = { kind: 'ssh-key', id: key.id };
      const deed = { action: 'ssh-key.add', userId, rule: person.via, target };
      await addSshKey(context, key, await notesForTeams(request, context, deed));
      return reply.code(201).send(sshKeyToWire(key));
    },
  );

  app.delete(
    '/personal-ssh-keys/:sshKeyID',
    {
      config: { auth: 'person' },
      schema: {
        tags,
        summary: 'Remove an SSH key of the signed-in person; its open connections end. SoulBox extension.',
        params: sshKeyParams,
        response: { 204: noContent, ...errors(403, 404) },
      },
    },
    async (request, reply) => {
      const { user, via } = personOf(request);
      const { sshKeyID: id } = request.params;
      const deed = { action: 'ssh-key.remove', userId: user.id, rule: via, target: { kind: 'ssh-key', id } };
      const notes = await notesOfEnd(request, context, deed);
      if (!(await records.sshKeys.remove({ kind: 'person', userId: user.id }, id, notes))) throw sshKeyNotFound(id);
      return reply.code(204).send(null);
    },
  );
}
