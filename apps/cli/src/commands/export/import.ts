import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { errorFromNode, isNodeError } from '@soulbox/base';
import { findApi } from '../../api/connection.ts';
import { uploadApi } from '../../api/transfer.ts';
import type { ApiImport } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseChoiceFlag } from '../../command-line/shared-args.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { withProgress } from './transfer-progress.ts';

const memoryChoices = ['auto', 'required', 'never'] as const;

export const importSnapshot = defineCommand({
  meta: {
    name: 'import',
    description: 'Make a snapshot from an export of this or a trusted server; prints its id. Then: sandbox create ID',
    examples: ['soulbox import shop.soulbox --name shop', 'ssh host cat shop.soulbox | soulbox import -'],
  },
  args: {
    file: { type: 'positional', required: true, description: 'The export file, or - for standard input' },
    name: { type: 'string', description: 'Name of the snapshot, optionally with :TAG', valueHint: 'NAME' },
    memory: {
      type: 'string',
      description: 'Saved memory: auto keeps it if this host can restore it (default), required, never',
      valueHint: 'auto|required|never',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const memory = parseChoiceFlag('memory', args.memory, memoryChoices);
    const api = await findApi(args['data-dir']);
    const source = (args.file === '-' ? process.stdin : readFile(args.file)) as AsyncIterable<Uint8Array>;
    const query = { name: args.name, memory };
    const call = { method: 'POST', contentType: 'application/vnd.soulbox.export', path: '/imports', query } as const;
    const imported = await uploadApi<ApiImport>(
      api,
      call,
      withProgress('import', source, await sizeOf(args.file)),
      abortOnSignal(),
    );
    if (args.json === true) {
      console.log(JSON.stringify(imported));
      return;
    }
    if (imported.memoryLeftOut !== '') console.error(`The memory was left out: ${imported.memoryLeftOut}.`);
    if (imported.settingsLeftOut.length > 0)
      console.error(
        `Not in the file, because it has secrets: ${imported.settingsLeftOut.join(', ')}. ` +
          'Sandboxes may connect to nothing until you set their network.',
      );
    console.log(imported.snapshotID);
  },
});

/** For the bar; a pipe has none. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = path === '-' ? undefined : await stat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw isNodeError(error) ? errorFromNode(error, `${path} cannot be read (${error.code}).`) : error;
  }
}
