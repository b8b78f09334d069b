import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTeamMetric } from '../../api/wire.ts';
import { parseDurationFlag } from '../../command-line/parse-duration.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';
import { findOwnTeam } from './own-team.ts';

const longestSeconds = 30 * 86_400;
const defaultSeconds = 3600;

export const showTeamMetrics = defineCommand({
  meta: {
    name: 'metrics',
    description: 'Show the running sandboxes and the starts of the team over time',
    examples: ['soulbox team metrics --since 24h'],
  },
  args: {
    since: { type: 'string', description: 'How far back, such as 10m, 24h or 7d (default 1h)', valueHint: 'DURATION' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const seconds = parseDurationFlag('since', args.since, longestSeconds) ?? defaultSeconds;
    const api = await findApi(args['data-dir']);
    const path = `/teams/${encodeURIComponent((await findOwnTeam(api)).teamID)}/metrics`;
    const start = Math.floor(Date.now() / 1000) - seconds;
    const { body } = await callApi<readonly ApiTeamMetric[]>(api, { path, query: { start } });
    printList(
      body,
      {
        TIME: ({ timestamp }) => timestamp,
        RUNNING: ({ concurrentSandboxes }) => concurrentSandboxes,
        'STARTS/S': ({ sandboxStartRate }) => sandboxStartRate.toFixed(2),
      },
      args,
    );
  },
});
