import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { printable } from '@soulbox/envd-client/printable';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiBuildLogEntry, ApiTemplateBuild } from '../../api/wire.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, builtTemplateArg, parseChoiceFlag } from '../../command-line/shared-args.ts';
import { buildArg, findBuild } from './find-build.ts';

const followEveryMs = 1000;
const levels = ['debug', 'info', 'warn', 'error'] as const;

export const templateLogs = defineCommand({
  meta: {
    name: 'logs',
    description: 'Print the log of a build of a template, oldest first',
    examples: ['soulbox template logs web', 'soulbox template logs web BUILD_ID --follow'],
  },
  args: {
    template: builtTemplateArg,
    build: buildArg,
    follow: { type: 'boolean', alias: 'f', description: 'Follow the build to its end; fails if the build does' },
    level: { type: 'string', description: 'The lowest level (default debug)', valueHint: levels.join('|') },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    const level = parseChoiceFlag('level', args.level, levels);
    const api = await findApi(args['data-dir']);
    const path = `${await findBuild(api, args.template, args.build)}/status`;
    let logsOffset = 0;
    for (;;) {
      const { body } = await callApi<ApiTemplateBuild>(api, { path, query: { logsOffset, level } });
      for (const entry of body.logEntries) console.log(args.json === true ? JSON.stringify(entry) : lineOf(entry));
      logsOffset += body.logEntries.length;
      if (body.logEntries.length > 0) continue;
      if (body.status === 'error' && args.follow === true) return exitCodes.failed;
      const isOver = body.status === 'ready' || body.status === 'error';
      if (args.follow !== true || isOver) return exitCodes.ok;
      await sleep(followEveryMs);
    }
  },
});

/** Parts of it come from the sandbox of the build. */
function lineOf({ timestamp, level, step, message }: ApiBuildLogEntry): string {
  const place = step === undefined || step === '' ? '' : `[${step}] `;
  return `${timestamp}  ${level.padEnd(5)}  ${printable(`${place}${message.trimEnd()}`)}`;
}
