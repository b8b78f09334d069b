import { defineCommand } from 'citty';
import { headers as headerNames } from '@soulbox/contract';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiAuditRecord } from '../../api/wire.ts';
import { apiDataDirArg, parseNumberFlag } from '../../command-line/shared-args.ts';

const seqMax = 999_999_999;

export const listAudit = defineCommand({
  meta: {
    name: 'list',
    description: 'Print the audit records of the team, oldest first: number, time, actor, action, target, result',
    examples: ['soulbox audit list --from 100', 'soulbox audit list --json'],
  },
  args: {
    from: { type: 'string', description: 'Number of the first record (default 0)', valueHint: 'N' },
    'data-dir': apiDataDirArg,
    json: { type: 'boolean', description: 'Print one JSON object per line' },
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    let from: number | undefined = parseNumberFlag('from', args.from, 0, seqMax) ?? 0;
    while (from !== undefined) {
      const { body, headers }: { body: readonly ApiAuditRecord[]; headers: Headers } = await callApi(api, {
        path: '/audit/records',
        query: { from },
      });
      for (const record of body) console.log(args.json === true ? JSON.stringify(record) : lineOf(record));
      const next = headers.get(headerNames.nextAfter);
      from = next === null ? undefined : Number(next);
    }
  },
});

function lineOf({ seq, time, actor, action, stage, target, result }: ApiAuditRecord): string {
  const outcome = result === undefined ? stage : `${result.status} ${result.code}`;
  const columns = [
    new Date(time).toISOString(),
    `${actor.kind} ${actor.id}`,
    action.padEnd(18),
    `${target.kind} ${target.id}`,
  ];
  return `${String(seq).padStart(6)}  ${columns.join('  ')}  ${outcome}`;
}
