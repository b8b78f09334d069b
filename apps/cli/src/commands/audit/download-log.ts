import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  decodeBundle,
  formatRecord,
  openCheckpoint,
  readVerifier,
  recordOfLeaf,
  tileNames,
  tilePath,
  tileWidth,
} from '@soulbox/audit';
import type { ExportFormat } from '@soulbox/audit';
import { readInstallation } from '@soulbox/host/installation';
import { callApi, openApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiAuditLog } from '../../api/wire.ts';

export interface Download {
  readonly directory: string;
  /** The first record; the bundle that contains it is the first that is downloaded. */
  readonly from: number;
  readonly format: ExportFormat | undefined;
  /** The newest checkpoint that witnesses have signed instead of the newest one. */
  readonly isWitnessed: boolean;
}

/**
 * Downloads the log of the team into a folder: its checkpoint, all hashes, the records from `from` on, the program that
 * verifies them, and the records in a format of other programs. Returns the number of records.
 */
export async function downloadLog(
  api: ApiConnection,
  { directory, from, format, isWitnessed }: Download,
): Promise<number> {
  const { body: log } = await callApi<ApiAuditLog>(api, { path: '/audit' });
  const note = (await readFileOfLog(api, isWitnessed ? 'witnessed-checkpoint' : 'checkpoint')).toString('utf8');
  const { size, origin } = openCheckpoint(note, log.verifierKey);
  const first = Math.max(log.minimum, Math.floor(Math.min(from, size) / tileWidth) * tileWidth);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const write = async (name: string, content: string | Uint8Array): Promise<void> => {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, content, { mode: 0o600, flag: 'wx' });
  };
  const context = { version: readInstallation().version, origin };
  await write('checkpoint', note);
  await write('log.json', `${JSON.stringify({ verifierKey: log.verifierKey, minimum: log.minimum, from: first })}\n`);
  await write('verify.mjs', await readVerifier());
  let records = 0;
  const lines: string[] = [];
  for (const name of tileNames(size)) {
    if (name.level === 'entries' && name.index * tileWidth < first) continue;
    const bytes = await readFileOfLog(api, tilePath(name));
    await write(tilePath(name), bytes);
    if (name.level !== 'entries') continue;
    const entries = decodeBundle(bytes, name.width);
    records += entries.length;
    if (format !== undefined)
      lines.push(...entries.map((entry) => `${formatRecord(recordOfLeaf(entry), format, context)}\n`));
  }
  if (format !== undefined) await write(`records.${format}.${format === 'cef' ? 'log' : 'jsonl'}`, lines.join(''));
  return records;
}

/** A path is one that we made, so nothing in it needs encoding. */
async function readFileOfLog(api: ApiConnection, path: string): Promise<Buffer> {
  return Buffer.from(await (await openApi(api, { path: `/audit/log/${path}` })).arrayBuffer());
}
