import { defineCommand } from 'citty';
import { headers as headerNames } from '@soulbox/contract';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiSandboxConnection } from '../../api/wire.ts';
import { apiDataDirArg, parseNumberFlag, sandboxArg } from '../../command-line/shared-args.ts';

const pageSize = 1000;

export const sandboxConnections = defineCommand({
  meta: {
    name: 'connections',
    description: 'Print the connections of a sandbox to the outside, and refused look-ups, newest first',
    examples: ['soulbox sandbox connections ID --refused', 'soulbox sandbox connections ID --limit 1000 --json'],
  },
  args: {
    sandbox: sandboxArg,
    refused: { type: 'boolean', description: 'Only those that were refused' },
    limit: { type: 'string', description: 'Number of lines (default 100)', valueHint: 'N' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    const limit = parseNumberFlag('limit', args.limit, 1, 999_999_999) ?? 100;
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/connections`;
    for await (const connection of readNewest(api, path, limit, args.refused === true))
      console.log(args.json === true ? JSON.stringify(connection) : lineOf(connection));
  },
});

async function* readNewest(
  api: ApiConnection,
  path: string,
  limit: number,
  isRefused: boolean,
): AsyncGenerator<ApiSandboxConnection> {
  let before: string | undefined;
  for (let left = limit; left > 0; left -= pageSize) {
    const query = {
      limit: Math.min(left, pageSize),
      ...(isRefused ? { allowed: 'false' } : {}),
      ...(before === undefined ? {} : { before }),
    };
    const { body: page, headers } = await callApi<readonly ApiSandboxConnection[]>(api, { path, query });
    yield* page;
    before = headers.get(headerNames.nextBefore) ?? undefined;
    if (before === undefined) return;
  }
}

function lineOf(connection: ApiSandboxConnection): string {
  const { startedAt, protocol, name, address = '', port, allowed, rule, reason, bytesSent, bytesReceived } = connection;
  const host = name === undefined ? address : address === '' ? name : `${name} (${address})`;
  const place = port === 0 ? host : `${host}:${port}`;
  const request = connection.method === undefined ? '' : `  ${connection.method} ${connection.path ?? ''}`;
  const verdict = reason === 'log_gap' ? 'unknown' : allowed ? 'allowed' : 'refused';
  const times = connection.count === undefined ? '' : `${connection.count} connections  `;
  const why = [reason, rule === undefined ? undefined : `rule ${rule}`].filter((word) => word !== undefined);
  return `${startedAt}  ${protocol.padEnd(5)}  ${verdict}  ${times}${place === '' ? '' : `${place}  `}${bytesSent} sent, ${bytesReceived} received${request}  ${why.join(', ')}`.trimEnd();
}
