import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import {
  deployBodyBytesMax,
  functionParams,
  functionSchema,
  functionToWire,
  newVersionSchema,
  startErrors,
  requestFromBody,
} from './schemas.ts';
import { getFunctions } from './service.ts';

export function addDeployFunctionRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/functions/:name/versions',
    {
      bodyLimit: deployBodyBytesMax,
      schema: {
        tags: ['functions'],
        summary: 'Deploy a new version; the previous one serves until this one is ready',
        params: functionParams,
        body: newVersionSchema,
        response: { 201: functionSchema, ...errors(...startErrors) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const info = await getFunctions(context).deploy(team.id, request.params.name, requestFromBody(request.body));
      context.logger.info({ function: info.name, team: team.id, version: info.activeVersion }, 'function deployed');
      return reply.code(201).send(functionToWire(info));
    },
  );
}
