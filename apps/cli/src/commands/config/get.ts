import { defineCommand } from 'citty';
import { jsonArg } from '../../command-line/shared-args.ts';
import { readSettingWithSource } from '../../settings/read-setting.ts';
import { parseSettingName, settingArg } from './setting-arg.ts';

export const getSetting = defineCommand({
  meta: {
    name: 'get',
    description: 'Print the value of a setting',
    examples: ['soulbox config get output', 'soulbox config get editor --json'],
  },
  args: { name: settingArg, json: jsonArg },
  run({ args }) {
    const name = parseSettingName(args.name);
    const read = readSettingWithSource(name);
    console.log(args.json === true ? JSON.stringify({ name, ...read }) : read.value);
  },
});
