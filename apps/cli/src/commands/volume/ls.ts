import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiVolumeEntry } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';
import { showPath } from '../../exported/show-path.ts';
import { renderTable } from '../../output/table.ts';
import { contentCall, parseVolumePlace } from './volume-place.ts';

export const listVolumeFiles = defineCommand({
  meta: {
    name: 'ls',
    description: 'List a folder of a volume',
    examples: ['soulbox volume ls datasets:', 'soulbox volume ls datasets:/raw --depth 3 --json'],
  },
  args: {
    folder: { type: 'positional', required: true, description: 'VOLUME:PATH, or VOLUME: for its root' },
    depth: { type: 'string', description: 'How many levels of folders (default: 1)', valueHint: 'COUNT' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const depth = parseNumberFlag('depth', args.depth, 1, 64) ?? 1;
    const call = contentCall('dir', parseVolumePlace(args.folder), { depth });
    const { body } = await callApi<ApiVolumeEntry[]>(await findApi(args['data-dir']), call);
    const entries = body.toSorted((one, other) => (one.path < other.path ? -1 : 1));
    if (args.json === true) console.log(JSON.stringify(entries));
    else if (entries.length > 0) console.log(tableOf(entries, depth > 1));
  },
});

const kindLetters = { directory: 'd', symlink: 'l', file: '-', unknown: '?' } as const;

function tableOf(entries: readonly ApiVolumeEntry[], isDeep: boolean): string {
  const rows = entries.map(({ type, mode, uid, gid, size, mtime, path, name, target }) => [
    `${kindLetters[type]}${mode.toString(8).padStart(4, '0')}`,
    ...[`${uid}:${gid}`, String(size), mtime],
    // Programs in sandboxes choose the names.
    showPath(Buffer.from((isDeep ? path : name) + (target === undefined ? '' : ` -> ${target}`)).toString('latin1')),
  ]);
  return renderTable(['MODE', 'OWNER', 'SIZE', 'MODIFIED', 'NAME'], rows);
}
