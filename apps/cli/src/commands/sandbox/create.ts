import { defineCommand } from 'citty';
import { withWait } from '../../output/wait.ts';
import { isolations } from '@soulbox/contract';
import { createPatiently } from '../../api/create-patiently.ts';
import { findApi } from '../../api/connection.ts';
import { tellReplay } from '../../api/tell-replay.ts';
import type { ApiSandbox } from '../../api/wire.ts';
import { networkArgs, readNetworkFlags } from '../../command-line/network-args.ts';
import { pairsFlag, repeatedFlag } from '../../command-line/repeated-flags.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { readObjectFlag, readVariableFlags, variableArgs } from '../../command-line/variable-flags.ts';
import {
  apiDataDirArg,
  idempotencyKeyArg,
  jsonArg,
  parseChoiceFlag,
  parseNumberFlag,
  timeoutArg,
} from '../../command-line/shared-args.ts';

export const createSandbox = defineCommand({
  meta: {
    name: 'create',
    description: 'Create a sandbox; prints its id',
    examples: [
      'soulbox sandbox create --timeout 3600 --on-timeout pause',
      'soulbox sandbox create desktop --env MODE=test --env API_TOKEN --metadata user=ada',
      'soulbox sandbox create --closed --allow pypi.org,files.pythonhosted.org',
      'soulbox sandbox create --volume datasets:/data:ro --volume results:/results',
      'soulbox sandbox create --bucket training/2026:/training:ro',
    ],
  },
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
    'auto-pause-disk-only': {
      type: 'boolean',
      description: 'A pause at the timeout saves its files only; a resume then boots it with these files',
    },
    ...variableArgs,
    metadata: {
      type: 'string',
      description: 'A pair that lists show and by which they can be filtered; repeatable',
      valueHint: 'NAME=VALUE',
    },
    volume: {
      type: 'string',
      description: 'A volume at a path of the sandbox; with :ro, the sandbox cannot change it; repeatable',
      valueHint: 'NAME:PATH[:ro]',
    },
    bucket: {
      type: 'string',
      description: 'A bucket, or the objects below a prefix, as a folder; with :ro, it cannot be changed; repeatable',
      valueHint: 'NAME[/PREFIX]:PATH[:ro]',
    },
    identity: {
      type: 'string',
      description: 'A workload identity for an audience, which placeholders of the policy may name; repeatable',
      valueHint: 'NAME=AUDIENCE',
    },
    mcp: {
      type: 'string',
      description: 'MCP servers as a JSON object, as clients pass them; needs a template with an MCP gateway',
      valueHint: 'FILE',
    },
    'log-output': { type: 'boolean', description: 'Write the output of commands into the log of the sandbox' },
    ...networkArgs,
    'idempotency-key': idempotencyKeyArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
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
      autoPauseMemory: args['auto-pause-disk-only'] === true ? false : undefined,
      logOutput: args['log-output'],
      envVars: await readVariableFlags(rawArgs),
      metadata: filled(pairsFlag(rawArgs, 'metadata')),
      volumeMounts: mountsOf(repeatedFlag(rawArgs, 'volume')),
      bucketMounts: bucketsOf(repeatedFlag(rawArgs, 'bucket')),
      iam: identitiesOf(pairsFlag(rawArgs, 'identity')),
      mcp: await readObjectFlag('mcp', args.mcp),
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

function filled(pairs: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
  return Object.keys(pairs).length === 0 ? undefined : pairs;
}

function identitiesOf(audiences: Readonly<Record<string, string>>): object | undefined {
  const tokens = Object.entries(audiences).map(([name, audience]) => [name, { audience }] as const);
  return tokens.length === 0 ? undefined : { tokens: Object.fromEntries(tokens) };
}

interface Mount {
  readonly name: string;
  readonly path: string;
  readonly readOnly?: true;
}

/** No name of a volume contains a colon. Throws UsageError. */
function mountsOf(texts: readonly string[]): readonly Mount[] | undefined {
  if (texts.length === 0) return undefined;
  return texts.map((text) => {
    const [, name, path, readOnly] = /^([^:]+):(\/.*?)(:ro)?$/s.exec(text) ?? [];
    if (name === undefined || path === undefined)
      throw new UsageError(
        `--volume must be NAME:PATH or NAME:PATH:ro with an absolute path, not ${JSON.stringify(text)}.`,
      );
    return readOnly === undefined ? { name, path } : { name, path, readOnly: true };
  });
}

/** No name of a bucket contains a colon or a slash. The first `:/` ends the prefix. Throws UsageError. */
function bucketsOf(texts: readonly string[]): readonly (Mount & { readonly prefix?: string })[] | undefined {
  if (texts.length === 0) return undefined;
  return texts.map((text) => {
    const [, name, prefix, path, readOnly] = /^([^:/]+)(?:\/(.*?))?:(\/.*?)(:ro)?$/s.exec(text) ?? [];
    if (name === undefined || path === undefined)
      throw new UsageError(
        `--bucket must be NAME:PATH, NAME/PREFIX:PATH or the same with :ro, with an absolute path, not ${JSON.stringify(text)}.`,
      );
    return {
      ...{ name, path },
      ...(prefix === undefined || prefix === '' ? {} : { prefix }),
      ...(readOnly === undefined ? {} : { readOnly: true }),
    };
  });
}

/** A create has the access to the internet beside the policy, an update in it. */
function createBodyOf({ allow_internet_access: access, ...network }: Record<string, unknown>) {
  return { ...(access === undefined ? {} : { allow_internet_access: access }), network };
}
