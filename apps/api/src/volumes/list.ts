import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { volumeSchema, volumeToWire } from './schemas.ts';

export function addListVolumesRoute(app: ApiApp, { records }: ApiContext): void {
  app.get(
    '/volumes',
    {
      schema: {
        tags: ['volumes'],
        summary: "List the team's volumes, oldest first",
        response: { 200: z.array(volumeSchema), ...errors() },
      },
    },
    async (request) => (await records.volumes.list(callerOf(request).team.id)).map(volumeToWire),
  );
}
