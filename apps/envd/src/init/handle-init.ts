import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../context.ts';
import { readJsonBody } from '../server/read-body.ts';
import { sendEmpty } from '../server/send.ts';
import { checkHost } from '../host-gate.ts';
import { clearVolatile } from './clear-volatile.ts';
import { writeRunFiles } from './run-files.ts';
import { isRecord, parseSettings } from '../settings.ts';

/**
 * POST /init: the host gives this sandbox its identity. Each call replaces the values of an earlier one. `freshStart:
 * true` means that the disk was used in an earlier life of the sandbox; then the files that a reboot would have cleared
 * are removed first.
 */
export async function handleInit(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await checkHost(context.hostGate, request);
  const body = await readJsonBody(request);
  const settings = parseSettings(body);
  if (isRecord(body) && body['freshStart'] === true) await clearVolatile(context.log);
  context.settings = settings;
  // They are the host's rehearsal, or of an earlier life.
  context.processes.forgetEnded(() => true);
  await writeRunFiles(settings.envVars, context.log);
  context.log.record('info', 'init', 'Initialized', { variables: String(Object.keys(settings.envVars).length) });
  sendEmpty(response, 204);
}
