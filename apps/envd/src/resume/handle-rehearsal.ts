import { constants } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../context.ts';
import { checkHost } from '../host-gate.ts';
import { runFileOf } from '../init/run-files.ts';
import { readJsonBody } from '../server/read-body.ts';
import { sendEmpty } from '../server/send.ts';
import { openRegular } from '../sys/open-regular.ts';
import { generationPath } from './generation-file.ts';
import { parseResumed } from './parse-resumed.ts';
import { findPreloads } from './tell-preloads.ts';

/** Their values differ in each copy. */
const changingFiles = [generationPath, runFileOf('E2B_SANDBOX_ID')];

/**
 * Handles POST /rehearse-resumed: what POST /resumed does, without its effects. It is called before a spare waits,
 * frozen, for its claim. The claim then finds the code in the CPU's reach, and the files on the sandbox's own disk: the
 * first opening for a write copies a file of a lower layer up, which takes 1 ms each. Contents do not change, and no
 * program gets a signal.
 */
export async function handleRehearsal(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await checkHost(context.hostGate, request);
  parseResumed(await readJsonBody(request));
  await Promise.all(changingFiles.map(copyUp));
  await findPreloads();
  sendEmpty(response, 204);
}

async function copyUp(path: string): Promise<void> {
  try {
    const { file } = await openRegular(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    await file.close();
  } catch {
    // Not there yet, or not a file: the real call deals with it.
  }
}
