import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ListedApiSandbox } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg, parseChoiceFlag } from '../../command-line/shared-args.ts';

export const listSandboxes = defineCommand({
  meta: { name: 'list', description: 'List the sandboxes of the team, newest first' },
  args: {
    state: { type: 'string', description: 'Only running, or only paused sandboxes', valueHint: 'running|paused' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const state = parseChoiceFlag('state', args.state, ['running', 'paused']);
    const api = await findApi(args['data-dir']);
    const sandboxes = await listAll<ListedApiSandbox>(api, { path: '/v2/sandboxes', query: { state } });
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
