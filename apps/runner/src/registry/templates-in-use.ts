import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError } from '@soulbox/base';
import { isStarted } from './started-snapshot.ts';

const templateSchema = z.object({ templateId: z.string() });

/**
 * Ids of the templates that the sandboxes and snapshots of a data folder use, paused sandboxes included. Snapshots that
 * the server made for itself do not count. Only reads files, so it works beside a running server. Throws for an
 * unreadable file, because its template is unknown.
 */
export async function findTemplatesInUse(dataDirectory: string): Promise<Set<string>> {
  const found = await Promise.all([listRecords(dataDirectory, 'sandboxes'), listRecords(dataDirectory, 'snapshots')]);
  const ids = await Promise.all(found.flat().map(async (path) => await readTemplateId(path)));
  return new Set(ids.filter((templateId) => templateId !== undefined));
}

async function listRecords(dataDirectory: string, folder: string): Promise<string[]> {
  const names = await unlessMissing(readdir(join(dataDirectory, folder)));
  return (names ?? [])
    .filter((name) => name.endsWith('.json') && !isStarted(name.slice(0, -'.json'.length)))
    .map((name) => join(dataDirectory, folder, name));
}

/** Undefined for a record that was removed in the meantime. */
async function readTemplateId(path: string): Promise<string | undefined> {
  const text = await unlessMissing(readFile(path, 'utf8'));
  return text === undefined ? undefined : templateSchema.parse(JSON.parse(text)).templateId;
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
