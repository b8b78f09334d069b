import type { IncomingMessage } from 'node:http';
import type { Staging } from '../staging/stage-volumes.ts';
import type { Request } from './parse.ts';

/** `POST /stage` begins a backup, `DELETE /stage` ends it. False for another call. */
export async function stageAll(staging: Staging, call: string): Promise<boolean> {
  if (call === 'POST /stage') await staging.begin();
  else if (call === 'DELETE /stage') await staging.drop();
  else return false;
  return true;
}

/**
 * `POST …/hold` gives the backup what the volume has now; `POST …/stage` waits until the volume is saved. False for
 * another call.
 */
export async function stageOne(
  staging: Staging,
  { place, operation }: Request,
  request: IncomingMessage,
): Promise<boolean> {
  if (operation === 'POST hold') await staging.hold(place);
  else if (operation === 'POST stage') {
    // It is silent by intent. Whoever calls has a limit of its own.
    request.socket.setTimeout(0);
    await staging.finish(place);
  } else return false;
  return true;
}
