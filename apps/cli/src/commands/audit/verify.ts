import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { verifyLog } from '@soulbox/audit/verify-log';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { repeatedFlag } from '../../command-line/repeated-flags.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';
import { downloadLog } from './download-log.ts';
import { witnessedArg } from './witnessed-arg.ts';

export const verifyAudit = defineCommand({
  meta: {
    name: 'verify',
    description: 'Verify an exported audit log, or that of the server: hashes, order, signature, history',
    examples: ['soulbox audit verify', 'soulbox audit verify ./export --earlier checkpoint'],
  },
  args: {
    folder: { type: 'positional', required: false, description: 'An export; by default the log of the server' },
    key: { type: 'string', description: 'The verifier key that must have signed it', valueHint: 'KEY' },
    earlier: { type: 'string', description: 'A file with an earlier checkpoint; can be repeated', valueHint: 'FILE' },
    witness: { type: 'string', description: 'A verifier key of a witness; can be repeated', valueHint: 'KEY' },
    quorum: { type: 'string', description: 'How many of the witnesses must have signed (default 0)', valueHint: 'N' },
    witnessed: witnessedArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const temporary = args.folder === undefined ? await mkdtemp(join(tmpdir(), 'soulbox-audit-')) : undefined;
    const directory = temporary === undefined ? resolve(args.folder ?? '') : join(temporary, 'log');
    try {
      if (temporary !== undefined)
        await downloadLog(await findApi(args['data-dir']), {
          ...{ directory, from: 0, format: undefined, isWitnessed: args.witnessed === true },
        });
      const files = repeatedFlag(rawArgs, 'earlier');
      const report = verifyLog({
        ...{ directory, key: args.key, witnesses: repeatedFlag(rawArgs, 'witness') },
        earlier: await Promise.all(files.map((file) => readFile(file, 'utf8'))),
        quorum: parseNumberFlag('quorum', args.quorum, 0, 100) ?? 0,
      });
      if (args.json === true) console.log(JSON.stringify(report));
      else {
        console.log(`${report.origin}: ${report.records} of ${report.size} records verified, from ${report.from} on.`);
        for (const { code, text } of report.faults) console.log(`${code}: ${text}`);
      }
      if (report.faults.length > 0)
        throw new SoulBoxError('state_damaged', `The audit log has ${report.faults.length} faults.`);
    } finally {
      if (temporary !== undefined) await removeTree(temporary);
    }
  },
});
