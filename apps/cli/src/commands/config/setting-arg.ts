import { UsageError } from '../../command-line/usage-error.ts';
import { isSettingName, settingNames } from '../../settings/schema.ts';
import type { SettingName } from '../../settings/schema.ts';

export const settingArg = {
  type: 'positional',
  required: true,
  description: `One of ${settingNames.join(', ')}`,
} as const;

export function parseSettingName(name: string): SettingName {
  if (isSettingName(name)) return name;
  throw new UsageError(`There is no setting ${JSON.stringify(name)}. There are: ${settingNames.join(', ')}.`);
}
