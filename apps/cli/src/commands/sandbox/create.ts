import { defineCommand } from 'citty';
import { withWait } from '../../output/wait.ts';
import { isolations } from '@soulbox/contract';
import { createPatiently } from '../../api/create-patiently.ts';
import { findApi } from '../../api/connection.ts';
import { tellReplay } from '../../api/tell-replay.ts';
import type { ApiSandbox } from '../../api/wire.ts';
import { networkArgs, readNetworkFlags } from '../../command-line/network-args.ts';
import {
  apiDataDirArg,
  idempotencyKeyArg,
  jsonArg,
  parseChoiceFlag,
  parseNumberFlag,
  timeoutArg,
} from '../../command-line/shared-args.ts';

export const createSandbox = defineCommand({
  meta: { name: 'create', description: 'Create a sandbox; prints its id' },
  args: {
    template: {
      type: 'positional',
      required: false,
      description: 'Id or name of a template or snapshot (default base)',
    },
    timeout: timeoutArg,
    'on-timeout': { type: 'string', description: 'Action at the timeout (default kill)', valueHint: 'kill|pause' },
    'idle-timeout': {
      type: 'string',
      description: 'Seconds of inactivity after which it is killed or paused, as --on-timeout says',
      valueHint: 'SECONDS',
    },
    'auto-resume': { type: 'boolean', description: 'Resume it automatically when a request arrives' },
    isolation: {
      type: 'string',
      description: 'Its isolation (default: that of the key, the template or the server)',
      valueHint: isolations.join('|'),
    },
    'log-output': { type: 'boolean', description: 'Write the output of commands into the log of the sandbox' },
    ...networkArgs,
    'idempotency-key': idempotencyKeyArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const onTimeout = parseChoiceFlag('on-timeout', args['on-timeout'], ['kill', 'pause']);
    const policy = await readNetworkFlags(args);
    const body = {
      ...(policy === undefined ? {} : createBodyOf(policy)),
      templateID: args.template ?? 'base',
      timeout: parseNumberFlag('timeout', args.timeout, 1, 999_999_999),
      idleTimeout: parseNumberFlag('idle-timeout', args['idle-timeout'], 1, 999_999_999),
      isolation: parseChoiceFlag('isolation', args.isolation, isolations),
      autoPause: onTimeout === undefined ? undefined : onTimeout === 'pause',
      autoResume: args['auto-resume'] === true ? { enabled: true } : undefined,
      logOutput: args['log-output'],
    };
    const api = await findApi(args['data-dir']);
    const answer = await withWait(
      'Creating the sandbox',
      createPatiently<ApiSandbox>(api, body, args['idempotency-key']),
    );
    tellReplay(answer);
    const sandbox = answer.body;
    console.log(args.json === true ? JSON.stringify(sandbox) : sandbox.sandboxID);
  },
});

/** A create has the access to the internet beside the policy, an update in it. */
function createBodyOf({ allow_internet_access: access, ...network }: Record<string, unknown>) {
  return { ...(access === undefined ? {} : { allow_internet_access: access }), network };
}
