import { defineCommand } from 'citty';
import { jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { readSettingWithSource } from '../../settings/read-setting.ts';
import { schema } from '../../settings/schema.ts';
import { readSettingsFile, writeSettingsFile } from '../../settings/settings-file.ts';
import { parseSettingName, settingArg } from './setting-arg.ts';

export const setSetting = defineCommand({
  meta: {
    name: 'set',
    description: 'Keep a setting for all further commands',
    examples: ['soulbox config set output json', 'soulbox config set editor nano'],
  },
  args: {
    name: settingArg,
    value: { type: 'positional', required: true, description: 'The value' },
    json: jsonArg,
  },
  async run({ args }) {
    const name = parseSettingName(args.name);
    const value = schema[name].accept(args.value);
    if (value === undefined)
      throw new UsageError(`${name} must be ${schema[name].form}, not ${JSON.stringify(args.value)}.`);
    await writeSettingsFile({ ...readSettingsFile(), [name]: value });
    const { source } = schema[name].fromEnvironment() === undefined ? { source: '' } : readSettingWithSource(name);
    if (source !== '') console.error(`The variable ${source} comes before it.`);
    console.log(args.json === true ? JSON.stringify({ name, value }) : `${name} is ${value}.`);
  },
});
