import { isUtf8 } from 'node:buffer';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { answerSchema, functionParams, invokeSchema, startErrors } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addInvokeRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/functions/:name/invoke',
    {
      config: { room: 'own' },
      schema: {
        tags: ['functions'],
        summary: 'Send one request to a function through the control plane',
        params: functionParams,
        body: invokeSchema.nullish(),
        response: { 200: answerSchema, ...errors(...startErrors) },
      },
    },
    async (request) => {
      const { body, encoding, ...call } = invokeSchema.parse(request.body ?? {});
      const { team } = callerOf(request);
      const wanted = { ...call, body: Buffer.from(body, encoding) };
      const answer = await getFunctions(context).invoke(team.id, request.params.name, wanted);
      const answered = isUtf8(answer.body) ? 'utf8' : 'base64';
      return {
        status: answer.status,
        headers: answer.headers.map(([name, value]): [string, string] => [name, value]),
        body: Buffer.from(answer.body).toString(answered),
        encoding: answered,
      } as const;
    },
  );
}
