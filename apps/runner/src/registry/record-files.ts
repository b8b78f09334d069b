import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isNodeError, randomId, SoulBoxError } from '@soulbox/base';
import type { z } from 'zod';
import type { RecordKind, RecordSeal } from './record-seal.ts';
import { isSealed, sealedVersion } from './record-seal.ts';

/** Like the one before, with volumes. A server that does not know them must not run what needs them. */
const volumesVersion = 3;
/** Like the one before, with buckets. */
const newestVersion = 4;

/** The form of a record in its file. Without volumes and buckets, older versions can read it. */
export function inFile(record: { readonly volumes: readonly { readonly isBucket: boolean }[] }): object {
  if (record.volumes.length === 0) return record;
  const hasBucket = record.volumes.some(({ isBucket }) => isBucket);
  return { ...record, formatVersion: hasBucket ? newestVersion : volumesVersion };
}

/**
 * Every kind of record has a version. `upgrade` and the schema's defaults read older versions. Newer ones are refused.
 */
type RecordSchema = z.ZodType & { readonly shape: { readonly formatVersion: { readonly value: number } } };

/** Which record a file must have. */
export interface RecordName {
  readonly kind: RecordKind;
  readonly id: string;
}

/**
 * Reads a record, encrypted or not. Undefined when the file is damaged. Throws `config_invalid` for a record of a newer
 * version, which must not be removed, and `master_key_missing` when its key is lost. Throws also when the file cannot be
 * read for a temporary reason.
 */
export async function readRecordFile<S extends RecordSchema>(
  path: string,
  schema: S,
  name: RecordName,
  seal: RecordSeal,
): Promise<{ readonly record: z.infer<S>; readonly isSealed: boolean } | undefined> {
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'));
    refuseNewer(path, content, sealedVersion);
    const value = await seal.open(name.kind, name.id, content);
    if (isSealed(content)) refuseNewer(path, value, newestVersion);
    const record = schema.safeParse(upgrade(value)).data;
    return record === undefined ? undefined : { record, isSealed: isSealed(content) };
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

/** Throws `config_invalid` for a record of a newer version. Needs no key. */
export async function refuseNewerRecord(path: string): Promise<void> {
  try {
    refuseNewer(path, JSON.parse(await readFile(path, 'utf8')), sealedVersion);
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
}

function isDamage(error: unknown): boolean {
  if (error instanceof SoulBoxError) return error.reason === 'state_damaged';
  return error instanceof SyntaxError || (isNodeError(error) && damages.has(error.code ?? ''));
}

/** The first version named the folder of an envd. A move changes that folder, so only its name is kept. */
export function upgrade(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && 'formatVersion' in value && isWithMounts(value.formatVersion))
    return { ...value, formatVersion: 2 };
  if (typeof value !== 'object' || value === null || !('runtimeDirectory' in value)) return value;
  const { runtimeDirectory, ...rest } = value;
  const runtimeName = typeof runtimeDirectory === 'string' ? basename(runtimeDirectory) : runtimeDirectory;
  return { ...rest, ...('formatVersion' in rest ? { formatVersion: 2 } : {}), runtimeName };
}

const isWithMounts = (version: unknown): boolean => version === volumesVersion || version === newestVersion;

/** A bad block, and a folder where a file should be. */
const damages: ReadonlySet<string> = new Set(['EIO', 'EISDIR']);

function refuseNewer(path: string, value: unknown, known: number): void {
  if (typeof value !== 'object' || value === null || !('formatVersion' in value)) return;
  const { formatVersion } = value;
  if (typeof formatVersion !== 'number' || formatVersion <= known) return;
  const message = `${path} was written by a newer SoulBox (format ${formatVersion}). Start that one, or use another data folder.`;
  throw new SoulBoxError('config_invalid', message);
}

/** Where damaged records are kept. `soulbox doctor` lists them. */
const asideOf = (directory: string): string => `${directory}-unreadable`;

/** Moves files and folders of `directory`, in this order, to a folder where nothing is removed. Returns that folder. */
export async function setAside(directory: string, names: readonly string[]): Promise<string> {
  const aside = asideOf(directory);
  await mkdir(aside, { recursive: true, mode: 0o700 });
  const present = new Set(await readdir(aside));
  for (const name of names) {
    const newName = present.has(name) ? `${name}.${randomId(6)}` : name;
    await rename(join(directory, name), join(aside, newName)).catch(ignoreMissing);
  }
  return aside;
}

/** Whether anything of `directory` was set aside and is still there. */
export async function isAnythingAside(directory: string): Promise<boolean> {
  const names = await readdir(asideOf(directory)).catch(ignoreMissing);
  return names !== undefined && names.length > 0;
}

function ignoreMissing(error: unknown): undefined {
  if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
}
