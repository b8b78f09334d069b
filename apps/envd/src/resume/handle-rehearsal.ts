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
 * frozen, for its claim. The claim is then faster for two reasons. The code has run before. And the files that the claim
 * changes are already on the sandbox's own disk: the first open for writing copies a file up from a lower layer, which
 * takes 1 ms. Contents do not change, and no program gets a signal.
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
    // The file is missing or is not a regular file. The real call handles that.
  }
}
