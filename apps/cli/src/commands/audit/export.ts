import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineCommand } from 'citty';
import { exportFormats } from '@soulbox/audit';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg, parseChoiceFlag, parseNumberFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { downloadLog } from './download-log.ts';
import { witnessedArg } from './witnessed-arg.ts';

export const exportAudit = defineCommand({
  meta: {
    name: 'export',
    description: 'Write the audit log of the team to a folder, with the program that verifies it offline',
    examples: ['soulbox audit export ./export', 'soulbox audit export ./export --format ocsf --from 1000'],
  },
  args: {
    folder: { type: 'positional', required: true, description: 'A new or empty folder' },
    from: { type: 'string', description: 'Number of the first record (default 0)', valueHint: 'N' },
    format: {
      type: 'string',
      description: 'Also write the records for other programs',
      valueHint: exportFormats.join('|'),
    },
    witnessed: witnessedArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const directory = resolve(args.folder);
    const format = parseChoiceFlag('format', args.format, exportFormats);
    const from = parseNumberFlag('from', args.from, 0, 999_999_999) ?? 0;
    if (existsSync(directory) && readdirSync(directory).length > 0) throw new UsageError(`${directory} is not empty.`);
    const records = await downloadLog(await findApi(args['data-dir']), {
      ...{ directory, from, format, isWitnessed: args.witnessed === true },
    });
    if (args.json === true) console.log(JSON.stringify({ directory, records }));
    else console.log(`Exported ${records} records to ${directory}. Verify them with: node ${directory}/verify.mjs`);
  },
});
