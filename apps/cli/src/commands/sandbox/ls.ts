import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, fileUserArg, jsonArg } from '../../command-line/shared-args.ts';
import { listEntries } from '../../copy/list-entries.ts';
import type { ListedEntry } from '../../copy/list-entries.ts';
import { parseSandboxPlace } from '../../copy/place.ts';
import { showPath } from '../../exported/show-path.ts';
import { orInterrupted } from '../../output/abort-on-signal.ts';
import { renderTable } from '../../output/table.ts';

export const listFiles = defineCommand({
  meta: {
    name: 'ls',
    description: 'List a folder of a sandbox',
    examples: ['soulbox sandbox ls ID:', 'soulbox sandbox ls ID:/etc --json'],
  },
  args: {
    folder: { type: 'positional', required: true, description: 'ID:PATH, or ID: for the home of the user' },
    user: fileUserArg,
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print JSON; nameBase64 is there for names that are not UTF-8' },
  },
  async run({ args }) {
    const { sandboxId, path } = parseSandboxPlace(args.folder);
    const sandbox = await reachSandbox(await findApi(args['data-dir']), sandboxId);
    return await orInterrupted(async (signal) => {
      const entries: ListedEntry[] = [];
      for await (const entry of listEntries(sandbox, { path, isDeep: false, user: args.user, signal }))
        entries.push(entry);
      entries.sort((one, other) => (one.path < other.path ? -1 : 1));
      if (args.json === true) console.log(JSON.stringify(entries.map(jsonOf)));
      else if (entries.length > 0) console.log(tableOf(entries));
      return exitCodes.ok;
    });
  },
});

function tableOf(entries: readonly ListedEntry[]): string {
  const rows = entries.map(({ kind, mode, size, mtime, owner, path }) => [
    `${kindLetters[kind]}${modeText(mode)}`,
    ...[showPath(owner), String(size), timeText(mtime), showPath(path)],
  ]);
  return renderTable(['MODE', 'OWNER', 'SIZE', 'MODIFIED', 'NAME'], rows);
}

const kindLetters = { folder: 'd', link: 'l', file: '-', special: '?' } as const;

function jsonOf({ path, mode, mtime, ...rest }: ListedEntry) {
  const name = Buffer.from(path, 'latin1').toString('utf8');
  const isText = Buffer.from(name).toString('latin1') === path;
  const base64 = isText ? {} : { nameBase64: Buffer.from(path, 'latin1').toString('base64') };
  return { name, ...base64, ...rest, mode: mode.toString(8).padStart(4, '0'), modifiedAt: timeText(mtime) };
}

function modeText(mode: number): string {
  return [6, 3, 0]
    .map((shift) => ['r', 'w', 'x'].map((letter, at) => ((mode >> (shift + 2 - at)) & 1 ? letter : '-')).join(''))
    .join('');
}

/** A time that no calendar has stays a number. */
function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
}
