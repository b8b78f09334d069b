import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { answerError, readMountIds } from '@soulbox/fuse-mounts';
import type { AliveCalls } from '@soulbox/fuse-mounts';
import { openPaths } from '@soulbox/volumes';
import type { PathEntry, VolumePaths } from '@soulbox/volumes';
import { entryToWire } from '../contents/entry.ts';
import { writeFile } from '../contents/write.ts';
import { entriesMax } from '../limits.ts';
import type { MountLimits } from '../mounts/mount-limits.ts';
import type { Mounts } from '../mounts/serve-mounts.ts';
import type { Staging } from '../staging/stage-volumes.ts';
import type { VolumeStore } from '../storage/upload-volumes.ts';
import { newOwner } from '../volumes/open-volumes.ts';
import type { OpenVolumes, UsedVolume } from '../volumes/open-volumes.ts';
import { serveMount } from './mount-calls.ts';
import { attributesOf, idOf, numberOf, parseRequest, rangeOf, textOf } from './parse.ts';
import type { Request } from './parse.ts';
import { stageAll, stageOne } from './stage-calls.ts';
import { createTeamRoom } from './team-room.ts';
import type { TeamRoom } from './team-room.ts';

interface Call extends Request, UsedVolume {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly paths: VolumePaths;
  readonly room: TeamRoom;
  /** Aborted when the caller leaves, and when the volume is removed. */
  readonly signal: AbortSignal;
}

type Operation = (call: Call) => Promise<void>;

const operations: Readonly<Record<string, Operation>> = {
  'GET dir': list,
  'POST dir': makeDir,
  'GET path': stat,
  'PATCH path': change,
  'DELETE path': remove,
  'POST rename': rename,
  'GET file': read,
  'PUT file': write,
};

/** Operations after which kernels that have the volume mounted must see something else. */
const changes: ReadonlySet<Operation> = new Set([makeDir, change, remove, rename, write]);

export interface HandlerParts {
  readonly volumes: OpenVolumes;
  readonly limits: MountLimits;
  readonly mounts: Mounts;
  readonly alive: AliveCalls;
  /** Returns the descriptor that was sent with a ticket. */
  readonly take: (ticket: Uint8Array) => number | undefined;
  readonly store: Pick<VolumeStore, 'figures'> | undefined;
  readonly staging: Staging;
  readonly logger: Logger;
}

/** Answers the calls of the control plane and of the runner. */
export function createHandler(parts: HandlerParts): (request: IncomingMessage, response: ServerResponse) => void {
  const { volumes, limits, mounts, alive, logger } = parts;
  const room = createTeamRoom(volumes);
  /** Calls that are about no volume. */
  const wholeCalls: Readonly<Record<string, AliveCalls['answer']>> = {
    'GET /alive': (request, response) => {
      alive.answer(request, response);
    },
    'GET /storage': (_request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ figures: parts.store?.figures() }));
    },
    'GET /mounts': (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(mounts.list()));
    },
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '' } = request;
    const whole = wholeCalls[`${method} ${url}`];
    if (whole !== undefined) {
      whole(request, response);
      return;
    }
    if (method === 'PUT' && url === '/mounts') {
      await volumes.endMountsExcept(await readMountIds(request));
      response.writeHead(204).end();
      return;
    }
    if (await stageAll(parts.staging, `${method} ${url}`)) {
      response.writeHead(204).end();
      return;
    }
    const parsed = parseRequest(method, url);
    if (await stageOne(parts.staging, parsed, request)) {
      response.writeHead(204).end();
      return;
    }
    if (parsed.operation === 'DELETE ') {
      await volumes.remove(parsed.place);
      response.writeHead(204).end();
      return;
    }
    if (parsed.operation === 'POST copy') {
      await copy(volumes, room, parsed);
      response.writeHead(204).end();
      return;
    }
    if (parsed.operation === 'PUT mount') {
      await serveMount(parsed, request, parts);
      response.writeHead(204).end();
      return;
    }
    if (parsed.operation === 'GET usage') {
      const usage = await volumes.use(parsed.place, usageOf);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(usage));
      return;
    }
    if (parsed.operation === 'POST sync') {
      await volumes.use(parsed.place, async ({ volume }) => await volume.sync());
      response.writeHead(204).end();
      return;
    }
    const operation = operations[parsed.operation];
    if (operation === undefined) throw new SoulBoxError('route_not_found', 'There is no such call.');
    const path = textOf(parsed.query, 'path');
    const left = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) left.abort(new Error('The caller has left.'));
    });
    await volumes.use(parsed.place, async (used) => {
      const signal = AbortSignal.any([left.signal, used.removed]);
      try {
        const [sizeBytes, teamBytes] = [numberOf(parsed.query, 'sizeBytes'), numberOf(parsed.query, 'teamBytes')];
        // The quota of a mounted volume also depends on the others of its team.
        if (!limits.change(parsed.place.volumeId, { sizeBytes, teamBytes })) await setQuota(used, sizeBytes);
        const paths = openPaths(used.volume);
        using _shared = changes.has(operation) ? await used.mounts.cache.share() : undefined;
        await operation({ ...parsed, ...used, request, response, path, paths, room, signal });
      } catch (thrown) {
        throw used.removed.aborted ? used.removed.reason : thrown;
      }
    });
  };
  return (request, response) => {
    serve(request, response).catch((thrown: unknown) => {
      answerError(thrown, { request, response }, { noun: 'volume', logger });
    });
  };
}

const usageOf = async ({ volume }: UsedVolume): Promise<{ readonly bytes: number; readonly inodes: number }> =>
  await Promise.resolve(volume.metadata.facts().usage);

/** What a copy shares with its source counts for both. */
async function copy(volumes: OpenVolumes, room: TeamRoom, { place, query }: Request): Promise<void> {
  using _taken = await room.begin(place.teamId, {
    limitBytes: numberOf(query, 'teamBytes'),
    announcedBytes: (await volumes.use(place, usageOf)).bytes,
  });
  await volumes.copy(place, { volumeId: idOf(query, 'to'), isReadOnly: query.get('readOnly') === 'true' });
}

/** The size of a volume can change; it counts from the next write on. */
async function setQuota({ volume }: UsedVolume, sizeBytes: number | undefined): Promise<void> {
  const { quota } = volume.metadata.facts();
  if (sizeBytes === undefined || sizeBytes === quota.bytes) return;
  await volume.metadata.setQuota({ ...quota, bytes: sizeBytes });
}

function answerEntry({ response }: Call, status: number, entry: PathEntry): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(entryToWire(entry)));
}

async function list({ paths, path, query, response, signal }: Call): Promise<void> {
  const depth = numberOf(query, 'depth') ?? 1;
  const { entries, isCut } = await paths.list(path, { depth, limit: entriesMax });
  if (isCut)
    throw new SoulBoxError(
      'limit_exceeded',
      `The folder has more than ${entriesMax} entries. List fewer levels of it, or mount the volume.`,
    );
  function* lines(): Generator<string> {
    let separator = '[';
    for (const entry of entries) {
      yield separator + JSON.stringify(entryToWire(entry));
      separator = ',';
    }
    yield separator === '[' ? '[]' : ']';
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  await pipeline(Readable.from(lines()), response, { signal });
}

async function makeDir(call: Call): Promise<void> {
  const { paths, path, query } = call;
  const attributes = attributesOf(query);
  const folder = { ...newOwner, mode: 0o755, ...attributes, parents: query.get('force') === 'true' };
  answerEntry(call, 201, await paths.makeFolder(path, folder));
}

async function stat(call: Call): Promise<void> {
  answerEntry(call, 200, await call.paths.stat(call.path));
}

async function change(call: Call): Promise<void> {
  answerEntry(call, 200, await call.paths.setAttributes(call.path, attributesOf(call.query)));
}

async function remove({ paths, path, response, signal }: Call): Promise<void> {
  await paths.remove(path, { recursive: true, signal });
  response.writeHead(204).end();
}

async function rename(call: Call): Promise<void> {
  const { paths, path, query } = call;
  const replace = query.get('force') !== 'false';
  answerEntry(call, 200, await paths.rename(path, textOf(query, 'to'), { replace }));
}

async function read({ paths, path, request, response, signal }: Call): Promise<void> {
  using whole = await paths.read(path);
  const size = whole.length;
  const range = rangeOf(request.headers.range, size);
  if (range === 'unsatisfiable')
    throw new SoulBoxError('range_not_satisfiable', `The file has ${size} bytes, and the range begins behind them.`);
  const [start, end] = range ?? [0, size];
  using part = range === undefined ? undefined : await paths.read(path, { start, end });
  const { stream, length } = part ?? whole;
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': length,
    'accept-ranges': 'bytes',
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${start + length - 1}/${size}` }),
  });
  await pipeline(Readable.from(stream, { objectMode: false, highWaterMark: 1 }), response, { signal });
}

async function write(call: Call): Promise<void> {
  const { volume, path, query, request, room, signal, place } = call;
  using taken = await room.begin(place.teamId, {
    limitBytes: numberOf(query, 'teamBytes'),
    announcedBytes: numberOf(query, 'length'),
  });
  signal.addEventListener('abort', () => request.destroy(signal.reason as Error), { once: true });
  // The connection is still needed for an error.
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  const entry = await writeFile(volume, path, body, {
    attributes: attributesOf(query),
    replaces: query.get('force') !== 'false',
    take: async (bytes) => await taken.take(bytes),
    signal,
  });
  answerEntry(call, 201, entry);
}
