import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../context.ts';
import { checkHost } from '../host-gate.ts';
import { writeRunFiles } from '../init/run-files.ts';
import { readJsonBody } from '../server/read-body.ts';
import { sendEmpty } from '../server/send.ts';
import { writeGeneration } from './generation-file.ts';
import type { Resumed } from './parse-resumed.ts';
import { parseResumed } from './parse-resumed.ts';
import { runHooks } from './run-hooks.ts';
import { tellPreloads } from './tell-preloads.ts';

/** Handles POST /resumed, one call at a time. The runner may repeat a call whose answer was lost. */
export function createResumedHandler(): (
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return async (context, request, response) => {
    await checkHost(context.hostGate, request);
    const resumed = parseResumed(await readJsonBody(request));
    const turn = last.then(async () => await apply(context, resumed));
    last = turn.catch(() => undefined);
    await turn;
    sendEmpty(response, 204);
  };
}

/**
 * The memory of this sandbox was restored, here or as a copy. Its identity is replaced before anybody gets access.
 * envd's random numbers need no action, because envd keeps no state for them (sys/kernel-random.ts). Throws if programs
 * could not be notified that they are in a copy.
 */
async function apply(context: Context, resumed: Resumed): Promise<void> {
  context.settings = { ...context.settings, ...resumed.settings };
  await writeRunFiles(context.settings.envVars, context.log);
  if (resumed.isCopy) {
    // The copy may have another owner than its source, such as the build of a template. What still runs is in its
    // memory anyway, and clients of soulbox.process.v1 were promised the exits of their processes.
    context.processes.forgetEnded((process) => process.spec.origin === 'e2b');
    await tellOfCopy(resumed.generation);
  }
  await runHooks(context, resumed);
  context.log.record('info', 'resume', 'Resumed', { isCopy: String(resumed.isCopy), generation: resumed.generation });
}

/**
 * Notifies in two ways: programs can watch a file, and the preloads in src/reseed, which must not cost anything, wait
 * for a signal.
 */
async function tellOfCopy(generation: string): Promise<void> {
  await writeGeneration(generation);
  await tellPreloads();
}
