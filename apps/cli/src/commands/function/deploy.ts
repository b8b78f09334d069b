import { defineCommand } from 'citty';
import { withWait } from '../../output/wait.ts';
import { ApiError } from '../../api/api-error.ts';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiFunction } from '../../api/wire.ts';
import { pairsFlag, repeatedFlag } from '../../command-line/repeated-flags.ts';
import { apiDataDirArg, jsonArg, parseChoiceFlag, parseNumberFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { secretsOf } from './secrets-of.ts';
import { pathOf } from './shared.ts';

export const deployFunction = defineCommand({
  meta: {
    name: 'deploy',
    description: 'Bundle a file or folder and deploy it; returns when the function serves requests',
    examples: [
      'soulbox function deploy ./worker --name hello',
      'soulbox function deploy index.ts --name hello --env MODE=test --secret API_TOKEN --kv STORE=hello',
    ],
  },
  args: {
    path: {
      type: 'positional',
      required: true,
      description: 'File, or folder with wrangler.toml, package.json or index.ts',
    },
    name: {
      type: 'string',
      description: 'Name (default: the name in the configuration of the folder)',
      valueHint: 'NAME',
    },
    kind: {
      type: 'string',
      description: 'Cloudflare Workers module (default) or Vercel Edge function',
      valueHint: 'workers|edge',
    },
    env: {
      type: 'string',
      description: 'A variable; may be repeated, and replaces all previous variables',
      valueHint: 'NAME=VALUE',
    },
    secret: {
      type: 'string',
      description: 'A variable of this shell to store as a secret; may be repeated',
      valueHint: 'NAME',
    },
    kv: {
      type: 'string',
      description: 'A binding and the key-value namespace it refers to; may be repeated',
      valueHint: 'BINDING=NAMESPACE',
    },
    'timeout-ms': { type: 'string', description: 'Milliseconds within which a response must start', valueHint: 'MS' },
    'memory-mb': {
      type: 'string',
      description: 'Megabytes of memory in addition to that of the engine',
      valueHint: 'MB',
    },
    'idle-timeout': {
      type: 'string',
      description: 'Seconds without a request after which it is paused',
      valueHint: 'SECONDS',
    },
    'compatibility-date': {
      type: 'string',
      description: 'Compatibility date of workerd, YYYY-MM-DD',
      valueHint: 'DATE',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const kind = parseChoiceFlag('kind', args.kind, ['workers', 'edge']) ?? 'workers';
    const requestTimeoutMs = parseNumberFlag('timeout-ms', args['timeout-ms'], 100, 900_000);
    const memoryMb = parseNumberFlag('memory-mb', args['memory-mb'], 16, 65_536);
    const idleSeconds = parseNumberFlag('idle-timeout', args['idle-timeout'], 1, 86_400);
    const secrets = secretsOf(repeatedFlag(rawArgs, 'secret'));
    const api = await findApi(args['data-dir']);
    // Loaded here, because no other command needs the bundler.
    const { readProject } = await import('../../bundle/read-project.ts');
    const { bundleFunction } = await import('../../bundle/bundle-function.ts');
    const project = await readProject(args.path);
    const name = args.name ?? project.name;
    if (name === undefined) throw new UsageError('A single file has no name. Specify one with --name.');
    const request = {
      source: await bundleFunction(project.entry, kind),
      environment: filled({ ...project.environment, ...pairsFlag(rawArgs, 'env') }),
      secrets: filled(secrets),
      kv: filled({ ...project.kv, ...pairsFlag(rawArgs, 'kv') }),
      limits: filled({ requestTimeoutMs, memoryMb, idleSeconds }),
      compatibilityDate: args['compatibility-date'] ?? project.compatibilityDate,
      compatibilityFlags: project.compatibilityFlags,
    };
    const deployed = await withWait(`Deploying ${name}`, deploy(api, name, kind, request));
    const url = `${api.url}/functions-http/${name}/`;
    console.log(
      args.json === true
        ? JSON.stringify({ ...deployed, url })
        : `Deployed ${name}, version ${deployed.activeVersion}: ${url}`,
    );
  },
});

async function deploy(api: ApiConnection, name: string, kind: string, request: object): Promise<ApiFunction> {
  try {
    const path = pathOf(name, '/versions');
    return (await callApi<ApiFunction>(api, { method: 'POST', path, body: request })).body;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    const body = { name, kind, ...request };
    return (await callApi<ApiFunction>(api, { method: 'POST', path: '/functions', body })).body;
  }
}

/** Undefined when no value is given, so that nothing changes. */
function filled<T extends object>(values: T): T | undefined {
  return Object.values(values).some((value) => value !== undefined) ? values : undefined;
}
