import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { Context } from '../context.ts';
import { readJsonBody } from '../server/read-body.ts';
import { sendEmpty } from '../server/send.ts';
import { writeRunFiles } from './run-files.ts';
import { parseSettings } from './settings.ts';

/** POST /init: the host hands this sandbox its identity. Each call replaces what an earlier one said. */
export async function handleInit(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!(await context.hostGate.isHost(request.headers[headers.hostToken]))) {
    throw new SoulBoxError('unauthorized', 'This call is for the host only.');
  }
  const settings = parseSettings(await readJsonBody(request));
  context.settings = settings;
  await writeRunFiles(settings.envVars, context.log);
  context.log.record('info', 'init', 'Initialized', { variables: String(Object.keys(settings.envVars).length) });
  sendEmpty(response, 204);
}
