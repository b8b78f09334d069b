import { SoulBoxError } from '@soulbox/base';
import { schema } from './schema.ts';
import type { SettingName } from './schema.ts';
import { readSettingsFile } from './settings-file.ts';
import type { Settings } from './settings-file.ts';

export interface ReadSetting {
  readonly value: string;
  /** A variable, `config.json` or `default`. */
  readonly source: string;
}

let file: Settings | undefined;

/** Throws `config_invalid` for a wrong value in a variable or in the file. */
export function readSettingWithSource(name: SettingName): ReadSetting {
  const { accept, form, fromEnvironment, default: usual } = schema[name];
  const named = fromEnvironment();
  if (named !== undefined) {
    const [text, variable] = named;
    const value = accept(text);
    if (value !== undefined) return { value, source: variable };
    throw new SoulBoxError('config_invalid', `${variable} must be ${form}, and is ${text}.`);
  }
  file ??= readSettingsFile();
  const value = file[name];
  return value === undefined ? { value: usual, source: 'default' } : { value, source: 'config.json' };
}

export const readSetting = (name: SettingName): string => readSettingWithSource(name).value;
