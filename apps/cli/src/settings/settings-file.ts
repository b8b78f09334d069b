import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { userConfigFolder } from '../config.ts';
import { isSettingName, schema, settingNames } from './schema.ts';
import type { SettingName } from './schema.ts';

export type Settings = Readonly<Partial<Record<SettingName, string>>>;

export function settingsFile(): string {
  return join(userConfigFolder(), 'config.json');
}

/** Throws `config_invalid` for a file that has something else than settings. */
export function readSettingsFile(): Settings {
  const file = settingsFile();
  const fault = (why: string): SoulBoxError =>
    new SoulBoxError('config_invalid', `${file} is not valid: ${why}. Correct or delete it.`);
  const value = readJson(file, fault);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault('it is not an object');
  const read: Partial<Record<SettingName, string>> = {};
  for (const [name, text] of Object.entries(value)) {
    if (!isSettingName(name))
      throw fault(`there is no setting ${JSON.stringify(name)}, only ${settingNames.join(', ')}`);
    if (typeof text !== 'string' || schema[name].accept(text) === undefined)
      throw fault(`${name} must be ${schema[name].form}, in quotes`);
    read[name] = text;
  }
  return read;
}

function readJson(file: string, fault: (why: string) => SoulBoxError): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return {};
    if (error instanceof SyntaxError) throw fault('it is not JSON');
    throw error;
  }
}

export async function writeSettingsFile(settings: Settings): Promise<void> {
  const file = settingsFile();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${JSON.stringify(settings, null, 2)}\n`);
}
