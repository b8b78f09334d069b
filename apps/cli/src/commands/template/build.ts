import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { headers, isolations } from '@soulbox/contract';
import { defineCommand } from 'citty';
import { ApiError } from '../../api/api-error.ts';
import { quotedKey } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { createBuildLogPrinter } from '../../output/build-log.ts';
import { openWait } from '../../output/wait.ts';
import {
  apiDataDirArg,
  idempotencyKeyArg,
  jsonArg,
  parseChoiceFlag,
  parseNumberFlag,
} from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';

/** In the order of the official CLI. */
const fileNames = ['e2b.Dockerfile', 'Dockerfile'] as const;

export const buildTemplate = defineCommand({
  meta: {
    name: 'build',
    description: 'Build a template from a Dockerfile in a sandbox; prints the log',
    examples: ['soulbox template build . web', 'soulbox template build ./Dockerfile web:v2 --cpus 4 --memory-mb 2048'],
  },
  args: {
    path: {
      type: 'positional',
      required: true,
      description: 'A Dockerfile, or a folder with one; COPY reads from there',
    },
    name: { type: 'positional', required: true, description: 'NAME or NAME:TAG: a-z, 0-9, - and _' },
    tags: { type: 'string', description: 'More tags, separated by commas', valueHint: 'TAG,TAG' },
    cpus: { type: 'string', description: 'CPUs of its sandboxes, 1 or an even number (default 2)', valueHint: 'N' },
    'memory-mb': { type: 'string', description: 'Memory of its sandboxes in MiB (default 1024)', valueHint: 'MIB' },
    'free-disk-mb': { type: 'string', description: 'Minimum free space on their disk in MiB', valueHint: 'MIB' },
    'start-command': {
      type: 'string',
      description: 'Replaces CMD; its process runs in every sandbox',
      valueHint: 'COMMAND',
    },
    'ready-command': { type: 'string', description: 'Succeeds when the start command is ready', valueHint: 'COMMAND' },
    isolation: {
      type: 'string',
      description: 'Isolation of the build and of all its sandboxes (default: that of the key, the base or the server)',
      valueHint: isolations.join('|'),
    },
    force: { type: 'boolean', description: 'Do not use the cache' },
    'idempotency-key': {
      ...idempotencyKeyArg,
      description: 'A repetition with the same key within 24 hours follows the same build instead of another one',
    },
    verbose: { type: 'boolean', description: 'Also show debug entries' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const cpuCount = parseNumberFlag('cpus', args.cpus, 1, 32);
    const memoryMB = parseNumberFlag('memory-mb', args['memory-mb'], 128, 1_048_576);
    const minFreeDiskMb = parseNumberFlag('free-disk-mb', args['free-disk-mb'], 0, 16_777_216);
    const isolation = parseChoiceFlag('isolation', args.isolation, isolations);
    const idempotencyKey = args['idempotency-key'];
    const commands = { start: args['start-command'], ready: args['ready-command'] };
    if (commands.start !== undefined && commands.ready === undefined)
      throw new UsageError('--start-command requires --ready-command.');
    const dockerfile = await readDockerfile(args.path);
    const api = await findApi(args['data-dir']);
    const { Template } = await import('e2b');
    const fromFile = parseDockerfile(() =>
      Template({ fileContextPath: dockerfile.folder }).fromDockerfile(dockerfile.text),
    );
    const template =
      commands.start !== undefined
        ? fromFile.setStartCmd(commands.start, commands.ready ?? '')
        : commands.ready !== undefined
          ? fromFile.setReadyCmd(commands.ready)
          : fromFile;
    // Elsewhere than at a terminal, the log says enough.
    using wait = openWait(`Building ${args.name}`, { isTold: false });
    const print = createBuildLogPrinter(args.verbose === true, (line) => wait.print(line));
    const building = Template.build(template, args.name, {
      ...{ apiUrl: api.url, apiKey: api.key.reveal(), skipCache: args.force === true, onBuildLogs: print },
      apiHeaders: {
        ...(isolation === undefined ? {} : { [headers.isolation]: isolation }),
        ...(idempotencyKey === undefined ? {} : { [headers.idempotencyKey]: quotedKey(idempotencyKey) }),
      },
      ...(args.tags === undefined ? {} : { tags: args.tags.split(',').map((tag) => tag.trim()) }),
      ...(cpuCount === undefined ? {} : { cpuCount }),
      ...(memoryMB === undefined ? {} : { memoryMB }),
      ...(minFreeDiskMb === undefined ? {} : { minFreeDiskMb }),
    });
    const { name, tags, templateId: templateID, buildId: buildID } = await building.catch(rethrow);
    console.log(args.json === true ? JSON.stringify({ name, tags, templateID, buildID }) : templateID);
  },
});

async function readDockerfile(path: string): Promise<{ folder: string; text: string }> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new SoulBoxError('file_not_found', `${path} was not found.`);
  if (!found.isDirectory()) return { folder: dirname(path), text: await readFile(path, 'utf8') };
  for (const name of fileNames) {
    const text = await readIfThere(join(path, name));
    if (text !== undefined) return { folder: path, text };
  }
  throw new SoulBoxError('file_not_found', `${fileNames.join(' or ')} was not found in the folder ${basename(path)}.`);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The client's parser throws plain errors, for instance for a second FROM. */
function parseDockerfile<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new SoulBoxError('bad_request', `The Dockerfile cannot be used: ${messageOf(error)}.`);
  }
}

/** The client puts the status of a response before its text. Its other errors say how the build failed. */
function rethrow(error: unknown): never {
  const [, status, message] = /^(\d{3}): (.*)$/s.exec(messageOf(error)) ?? [];
  if (status !== undefined && message !== undefined) throw new ApiError(Number(status), message);
  throw new SoulBoxError('build_failed', messageOf(error));
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
