import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ListedApiSandbox } from '../../api/wire.ts';
import { renderTable } from '../../output/table.ts';
import { apiDataDirArg, jsonArg, parseChoiceFlag } from '../../program/shared-args.ts';

export const listSandboxes = defineCommand({
  meta: { name: 'list', description: 'List the sandboxes of the team, newest first' },
  args: {
    state: { type: 'string', description: 'Only those that run, or that are paused', valueHint: 'running|paused' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const state = parseChoiceFlag('state', args.state, ['running', 'paused']);
    const api = await findApi(args['data-dir']);
    const sandboxes = await listAll<ListedApiSandbox>(api, { path: '/v2/sandboxes', query: { state } });
    if (args.json === true) {
      console.log(JSON.stringify(sandboxes));
      return;
    }
    const rows = sandboxes.map((sandbox) => [
      sandbox.sandboxID,
      sandbox.alias ?? sandbox.templateID,
      sandbox.state,
      sandbox.isolation,
      `${sandbox.cpuCount}`,
      `${sandbox.memoryMB} MiB`,
      sandbox.startedAt,
      sandbox.endAt,
    ]);
    console.log(renderTable(['ID', 'TEMPLATE', 'STATE', 'ISOLATION', 'CPU', 'MEMORY', 'STARTED', 'ENDS'], rows));
  },
});
