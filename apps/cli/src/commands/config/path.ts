import { defineCommand } from 'citty';
import { settingsFile } from '../../settings/settings-file.ts';

export const showSettingsPath = defineCommand({
  meta: {
    name: 'path',
    description: 'Print the path of the file with the settings',
    examples: ['soulbox config path'],
  },
  run() {
    console.log(settingsFile());
  },
});
