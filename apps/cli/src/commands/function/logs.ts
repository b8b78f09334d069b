import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunctionLog } from '../../api/wire.ts';
import { apiDataDirArg } from '../../command-line/shared-args.ts';
import { functionArg, pathOf } from './shared.ts';

const followEveryMs = 1000;

export const functionLogs = defineCommand({
  meta: {
    name: 'logs',
    description: 'Print the console output and the requests of a function, oldest first',
    examples: ['soulbox function logs hello', 'soulbox function logs hello --follow'],
  },
  args: {
    function: functionArg,
    follow: { type: 'boolean', alias: 'f', description: 'Follow new lines until Ctrl-C' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    let cursor = 0;
    for (;;) {
      const { body: log } = await callApi<ApiFunctionLog>(api, {
        path: pathOf(args.function, '/logs'),
        query: { cursor },
      });
      for (const entry of log.entries) {
        const { timestamp, level, source, message } = entry;
        console.log(
          args.json === true
            ? JSON.stringify(entry)
            : `${timestamp}  ${level.padEnd(5)}  ${source.padEnd(7)}  ${message}`,
        );
      }
      cursor = log.cursor;
      if (log.entries.length > 0) continue;
      if (args.follow !== true) return;
      await sleep(followEveryMs);
    }
  },
});
