import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiAuditLog } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const auditStatus = defineCommand({
  meta: {
    name: 'status',
    description: 'Print the name, key and size of the audit log, and what its witnesses have signed',
    examples: ['soulbox audit status'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body: log } = await callApi<ApiAuditLog>(await findApi(args['data-dir']), { path: '/audit' });
    if (args.json === true) {
      console.log(JSON.stringify(log));
      return;
    }
    console.log(`log        ${log.origin}`);
    console.log(`key        ${log.verifierKey}`);
    console.log(`records    ${log.size} published, from ${log.minimum} on`);
    console.log(
      `witnessed  ${log.witnesses.length === 0 ? 'this server has no witnesses' : `${log.witnessedSize} records`}`,
    );
    for (const { name, size, signedAt, problem } of log.witnesses) {
      const last = signedAt === null ? 'nothing since the server started' : `${size} records at ${signedAt}`;
      console.log(`witness    ${name}: ${last}${problem === null ? '' : `, ${problem}`}`);
    }
  },
});
