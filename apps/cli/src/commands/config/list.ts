import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';
import { readSettingWithSource } from '../../settings/read-setting.ts';
import { schema, settingNames } from '../../settings/schema.ts';

interface Row {
  readonly name: string;
  readonly value: string;
  readonly source: string;
  readonly description: string;
}

export const listSettings = defineCommand({
  meta: {
    name: 'list',
    description: 'List the settings of the command line, where each comes from, and which server and key commands use',
    examples: ['soulbox config list'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const settings = settingNames.map((name): Row => {
      return { name, ...readSettingWithSource(name), description: schema[name].description };
    });
    printList(
      [...(await readServer(args['data-dir'])), ...settings],
      {
        NAME: ({ name }) => name,
        VALUE: ({ value }) => value,
        FROM: ({ source }) => source,
        MEANING: ({ description }) => description,
      },
      args,
    );
  },
});

/** These are chosen by the command line, by contexts and by variables. The key is never shown. */
async function readServer(dataDir: string | undefined): Promise<Row[]> {
  const found = await findApi(dataDir).catch((error: unknown) => {
    if (error instanceof SoulBoxError && error.reason === 'host_not_ready') return undefined;
    throw error;
  });
  const { url = '', source = 'none' } = found ?? {};
  return [
    { name: 'server', value: url, source, description: 'Choose it with "soulbox context use"' },
    { name: 'key', value: found === undefined ? '' : 'set', source, description: 'The API key, which is not shown' },
  ];
}
