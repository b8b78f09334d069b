import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';

const sshServerSchema = z
  .object({
    port: z.int(),
    hostKey: z.string().describe('The public key of the server, as in `known_hosts` after the name of the host.'),
  })
  .meta({ id: 'SSHServer' });

/** What clients need to know before they connect. */
export function addSshServerRoute(app: ApiApp, { ssh }: ApiContext): void {
  app.get(
    '/ssh',
    {
      schema: {
        tags: ['ssh keys'],
        summary: 'Show the port and the public key of the SSH server',
        response: { 200: sshServerSchema, ...errors(501) },
      },
    },
    () => {
      if (ssh === undefined)
        throw new SoulBoxError('not_implemented', 'SSH is off on this server. SOULBOX_SSH_PORT turns it on.');
      return { ...ssh };
    },
  );
}
