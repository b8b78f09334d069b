import { exitCodes } from '../../command-line/exit-codes.ts';
import { parseNumberFlag } from '../../command-line/shared-args.ts';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { tellReplay } from '../../api/tell-replay.ts';
import type { ApiCopy } from '../../api/wire.ts';
import { withWait } from '../../output/wait.ts';
import { parseVolumes } from './parse-volumes.ts';

export interface ForkArguments {
  readonly count?: string | undefined;
  readonly timeout?: string | undefined;
  readonly volumes?: string | undefined;
  readonly 'idempotency-key'?: string | undefined;
  readonly 'data-dir'?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Requests copies from `path`. Prints the id of each on standard output, or the error on standard error. */
export async function makeCopies(path: string, args: ForkArguments): Promise<number> {
  const count = parseNumberFlag('count', args.count, 1, 100);
  // Sent explicitly: without it a copy would live for the default of E2B's API, which is 15 s.
  const timeout = parseNumberFlag('timeout', args.timeout, 1, 999_999_999) ?? 300;
  const volumes = parseVolumes(args.volumes, ['share', 'clone']);
  const api = await findApi(args['data-dir']);
  const call = {
    method: 'POST',
    path,
    body: { count, timeout, volumes },
    idempotencyKey: args['idempotency-key'],
  } as const;
  const answer = await withWait('Creating the copies', callApi<readonly ApiCopy[]>(api, call));
  tellReplay(answer);
  const copies = answer.body;
  if (args.json === true) console.log(JSON.stringify(copies));
  else copies.forEach(printCopy);
  return copies.every(({ error }) => error === undefined) ? exitCodes.ok : exitCodes.failed;
}

function printCopy({ sandbox, error }: ApiCopy): void {
  if (error === undefined) console.log(sandbox?.sandboxID);
  else console.error(`error: a fork could not be created: ${error.message} (${error.code})`);
}
