import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ListedApiSandbox } from '../../api/wire.ts';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg, parseChoiceFlag } from '../../command-line/shared-args.ts';

export const listSandboxes = defineCommand({
  meta: {
    name: 'list',
    description: 'List the sandboxes of the team, newest first',
    examples: ['soulbox sandbox list --state running', 'soulbox sandbox list --metadata user=ada --json'],
  },
  args: {
    state: { type: 'string', description: 'Only running, or only paused sandboxes', valueHint: 'running|paused' },
    metadata: { type: 'string', description: 'Only those with this pair; repeatable', valueHint: 'NAME=VALUE' },
    template: { type: 'string', description: 'Only those of this template, by id or name', valueHint: 'TEMPLATE' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const state = parseChoiceFlag('state', args.state, ['running', 'paused']);
    const query = { state, metadata: filterOf(pairsFlag(rawArgs, 'metadata')), template: args.template };
    const api = await findApi(args['data-dir']);
    const sandboxes = await listAll<ListedApiSandbox>(api, { path: '/v2/sandboxes', query });
    printList(
      sandboxes,
      {
        ID: (sandbox) => sandbox.sandboxID,
        TEMPLATE: (sandbox) => sandbox.alias ?? sandbox.templateID,
        STATE: (sandbox) => sandbox.state,
        ISOLATION: (sandbox) => sandbox.isolation,
        CPU: (sandbox) => sandbox.cpuCount,
        MEMORY: (sandbox) => `${sandbox.memoryMB} MiB`,
        STARTED: (sandbox) => sandbox.startedAt,
        ENDS: (sandbox) => sandbox.endAt,
      },
      args,
    );
  },
});

/** Encoded twice, as the official clients do. */
function filterOf(pairs: Readonly<Record<string, string>>): string | undefined {
  const encoded = Object.entries(pairs).map(([name, value]): [string, string] => [
    encodeURIComponent(name),
    encodeURIComponent(value),
  ]);
  return encoded.length === 0 ? undefined : new URLSearchParams(encoded).toString();
}
