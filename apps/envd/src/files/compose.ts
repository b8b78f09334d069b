import { constants } from 'node:fs';
import { unlink } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import type { Context } from '../context.ts';
import { namingPath } from '../filesystem/path-error.ts';
import { readJsonBody } from '../server/read-body.ts';
import { sendJson } from '../server/send.ts';
import { locateFile } from './locate-file.ts';
import { openRegular } from '../sys/open-regular.ts';
import { readToEnd } from './read-chunks.ts';
import { writeFileFrom } from './write-file.ts';

interface ComposeRequest {
  readonly sourcePaths: readonly string[];
  readonly destination: string;
  readonly username: string;
}

const maxSources = 10_000;

/** POST /files/compose: joins files into one and deletes them. */
export async function handleCompose(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { sourcePaths, destination, username } = parseRequest(await readJsonBody(request));
  const target = locateFile(context, username, destination);
  const sources = sourcePaths.map((path) => locateFile(context, username, path).path);
  if (sources.includes(target.path))
    throw new SoulBoxError('bad_request', 'The destination must not be one of the sources.');
  // Checked before the destination is emptied.
  for (const path of sources) await namingPath(path, async () => await (await openSource(path)).close());
  const written = await namingPath(
    target.path,
    async () => await writeFileFrom(target.path, target.user, joined(sources), {}),
  );
  for (const path of new Set(sources)) await namingPath(path, async () => await unlink(path));
  context.log.record('info', 'files', 'Files composed', { count: String(sources.length) });
  sendJson(response, 200, written);
}

async function openSource(path: string) {
  return (await openRegular(path, constants.O_RDONLY)).file;
}

async function* joined(paths: readonly string[]): AsyncGenerator<Buffer, void> {
  for (const path of paths) {
    const file = await namingPath(path, async () => await openSource(path));
    try {
      yield* readToEnd(file);
    } finally {
      await file.close();
    }
  }
}

function parseRequest(body: unknown): ComposeRequest {
  const { source_paths: paths, destination, username = '' } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (
    !Array.isArray(paths) ||
    paths.length === 0 ||
    paths.length > maxSources ||
    !paths.every((path) => typeof path === 'string' && path !== '')
  ) {
    throw new SoulBoxError('bad_request', `source_paths must be an array of 1 to ${maxSources} paths.`);
  }
  if (typeof destination !== 'string' || destination === '')
    throw new SoulBoxError('bad_request', 'destination must be a path.');
  if (typeof username !== 'string') throw new SoulBoxError('bad_request', 'username must be a string.');
  return { sourcePaths: paths as string[], destination, username };
}
