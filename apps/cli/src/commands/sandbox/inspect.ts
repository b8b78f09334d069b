import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ApiEvent, ApiMetricHistory, ApiSandboxDetail, ApiSnapshot } from '../../api/wire.ts';
import { apiDataDirArg, sandboxArg } from '../../command-line/shared-args.ts';

const metricsSeconds = 10;
const eventsMax = 20;

export const inspectSandbox = defineCommand({
  meta: {
    name: 'inspect',
    description:
      'Print everything about a sandbox as JSON: facts, newest metrics, snapshots and events, without its tokens',
    examples: ['soulbox sandbox inspect ID', 'soulbox sandbox inspect ID > sandbox.json'],
  },
  args: { sandbox: sandboxArg, 'data-dir': apiDataDirArg, json: { type: 'boolean', description: 'In one line' } },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const name = encodeURIComponent(args.sandbox);
    const path = `/sandboxes/${name}`;
    const start = Math.floor(Date.now() / 1000) - metricsSeconds;
    // The first one says whether there is such a sandbox.
    const { envdAccessToken: _, ...sandbox } = (await callApi<ApiSandboxDetail>(api, { path })).body;
    const [metrics, snapshots, events] = await Promise.all([
      callApi<ApiMetricHistory>(api, { path: `${path}/metrics/history`, query: { start } }),
      listAll<ApiSnapshot>(api, { path: '/snapshots', query: { sandboxID: args.sandbox } }),
      callApi<readonly ApiEvent[]>(api, { path: `/events/sandboxes/${name}`, query: { limit: eventsMax } }),
    ]);
    const all = { sandbox, metrics: metrics.body.points.at(-1) ?? null, snapshots, events: events.body };
    console.log(JSON.stringify(all, undefined, args.json === true ? 0 : 2));
  },
});
