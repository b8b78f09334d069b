import { defineCommand } from 'citty';
import { jsonArg } from '../../command-line/shared-args.ts';
import { schema } from '../../settings/schema.ts';
import { readSettingsFile, writeSettingsFile } from '../../settings/settings-file.ts';
import { parseSettingName, settingArg } from './setting-arg.ts';

export const unsetSetting = defineCommand({
  meta: {
    name: 'unset',
    description: 'Give a setting its default again',
    examples: ['soulbox config unset output', 'soulbox config unset color'],
  },
  args: { name: settingArg, json: jsonArg },
  async run({ args }) {
    const name = parseSettingName(args.name);
    const { [name]: _, ...rest } = readSettingsFile();
    await writeSettingsFile(rest);
    const value = schema[name].default;
    console.log(args.json === true ? JSON.stringify({ name, value }) : `${name} is ${value} again.`);
  },
});
