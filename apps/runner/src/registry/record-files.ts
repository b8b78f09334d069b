import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isNodeError, randomId, SoulBoxError } from '@soulbox/base';
import type { z } from 'zod';

/** What every kind of record has: older forms are read by `upgrade` and the schema's defaults, newer ones by no earlier version. */
type RecordSchema = z.ZodType & { readonly shape: { readonly formatVersion: { readonly value: number } } };

/**
 * A record, or undefined when the file is damaged. Throws `config_invalid` for one of a newer version: what this one cannot read it must
 * not remove. Throws, too, when the file could not be looked at for a reason of the moment.
 */
export async function readRecordFile<S extends RecordSchema>(path: string, schema: S): Promise<z.infer<S> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    refuseNewer(path, value, schema.shape.formatVersion.value);
    return schema.safeParse(upgrade(value)).data;
  } catch (error) {
    const isDamaged = error instanceof SyntaxError || (isNodeError(error) && damages.has(error.code ?? ''));
    if (isDamaged) return undefined;
    throw error;
  }
}

/** The first version named the folder of an envd, which is another one after a move; it stands beside the present one of its host. */
export function upgrade(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('runtimeDirectory' in value)) return value;
  const { runtimeDirectory, ...rest } = value;
  const runtimeName = typeof runtimeDirectory === 'string' ? basename(runtimeDirectory) : runtimeDirectory;
  return { ...rest, ...('formatVersion' in rest ? { formatVersion: 2 } : {}), runtimeName };
}

/** A bad block, and a folder in the place of a file. */
const damages: ReadonlySet<string> = new Set(['EIO', 'EISDIR']);

function refuseNewer(path: string, value: unknown, known: number): void {
  if (typeof value !== 'object' || value === null || !('formatVersion' in value)) return;
  const { formatVersion } = value;
  if (typeof formatVersion !== 'number' || formatVersion <= known) return;
  const message = `${path} was written by a newer SoulBox (format ${formatVersion}). Start that one, or use another data folder.`;
  throw new SoulBoxError('config_invalid', message);
}

/** Where what is damaged is kept: `soulbox doctor` looks there. */
const asideOf = (directory: string): string => `${directory}-unreadable`;

/** Moves files and folders of `directory`, in this order, to where nobody removes them. Gives that place. */
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

/** Whether anything of `directory` was set aside, and nobody has taken it away yet. */
export async function isAnythingAside(directory: string): Promise<boolean> {
  const names = await readdir(asideOf(directory)).catch(ignoreMissing);
  return names !== undefined && names.length > 0;
}

function ignoreMissing(error: unknown): undefined {
  if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
}
