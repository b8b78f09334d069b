import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A process that answers S3's protocol like a store that is some way off: it keeps objects in memory, begins an answer
 * after `LATENCY_MS`, and sends `MIB_PER_SECOND` on each connection. It has what a server needs of a store, without
 * uploads in parts. Prints its port.
 */
const [latencyMs = 0, mibPerSecond = 1] = process.argv.slice(2).map(Number);
const pieceBytes = 256 * 1024;
const pieceMs = (1000 * pieceBytes) / (mibPerSecond * 1024 * 1024);
const pageMax = 1000;

interface Stored {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly modified: Date;
}

/** By their path, with the bucket. */
const objects = new Map<string, Stored>();

function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`);
}

async function put(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  await sleep(latencyMs);
  const before = objects.get(path);
  const { 'if-none-match': absent, 'if-match': same } = request.headers;
  const isRefused = (absent === '*' && before !== undefined) || (same !== undefined && same !== before?.etag);
  if (isRefused) {
    fail(response, 412, 'PreconditionFailed');
    return;
  }
  const etag = `"${randomBytes(16).toString('hex')}"`;
  objects.set(path, { bytes: Buffer.concat(pieces), etag, modified: new Date() });
  response.setHeader('etag', etag);
  response.end();
}

function list(path: string, query: URLSearchParams, response: ServerResponse): void {
  const folder = path.endsWith('/') ? path : `${path}/`;
  const [prefix, after] = [query.get('prefix') ?? '', query.get('continuation-token') ?? ''];
  const delimiter = query.get('delimiter') ?? '';
  /** The folder in which a key is, if folders are asked for. */
  const folderOf = (key: string): string | undefined => {
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    return end === -1 ? undefined : key.slice(0, end + 1);
  };
  const entries = new Map<string, Stored | undefined>();
  for (const [at, stored] of objects) {
    const key = decodeURIComponent(at.slice(folder.length));
    if (!at.startsWith(folder) || !key.startsWith(prefix)) continue;
    const name = folderOf(key);
    if ((name ?? key) > after) entries.set(name ?? key, name === undefined ? stored : undefined);
  }
  const found = [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const page = found.slice(0, Math.min(pageMax, Number(query.get('max-keys') ?? pageMax)));
  const contents = page.map(([name, stored]) => {
    const key = encodeURIComponent(name);
    if (stored === undefined) return `<CommonPrefixes><Prefix>${key}</Prefix></CommonPrefixes>`;
    const { etag, modified, bytes } = stored;
    return (
      `<Contents><Key>${key}</Key><LastModified>${modified.toISOString()}</LastModified>` +
      `<ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${bytes.length}</Size></Contents>`
    );
  });
  const next = page.length < found.length ? (page.at(-1)?.[0] ?? '') : undefined;
  response.writeHead(200, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><EncodingType>url</EncodingType>` +
      `<IsTruncated>${next !== undefined}</IsTruncated><KeyCount>${page.length}</KeyCount>${contents.join('')}` +
      `${next === undefined ? '' : `<NextContinuationToken>${next}</NextContinuationToken>`}</ListBucketResult>`,
  );
}

async function get(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const stored = objects.get(path);
  if (stored === undefined) {
    fail(response, 404, 'NoSuchKey');
    return;
  }
  const { bytes, etag, modified } = stored;
  const { range, 'if-match': same } = request.headers;
  if (same !== undefined && same !== etag) {
    fail(response, 412, 'PreconditionFailed');
    return;
  }
  const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const first = Number(from);
  const end = to === '' ? bytes.length : Math.min(Number(to) + 1, bytes.length);
  const isPart = range !== undefined;
  if (isPart && first >= end) {
    fail(response, 416, 'InvalidRange');
    return;
  }
  response.writeHead(isPart ? 206 : 200, {
    ...{ etag, 'last-modified': modified.toUTCString(), 'content-length': end - first },
    ...(isPart ? { 'content-range': `bytes ${first}-${end - 1}/${bytes.length}` } : {}),
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const began = performance.now();
  for (let at = first, sent = 1; at < end; at += pieceBytes, sent++) {
    response.write(bytes.subarray(at, Math.min(at + pieceBytes, end)));
    const aheadMs = began + sent * pieceMs - performance.now();
    if (aheadMs > 1) await sleep(aheadMs);
  }
  response.end();
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://store');
  const { method } = request;
  if (method === 'PUT') {
    await put(pathname, request, response);
    return;
  }
  request.resume();
  await sleep(latencyMs);
  if (method === 'DELETE') {
    objects.delete(pathname);
    response.writeHead(204).end();
  } else if (searchParams.has('list-type')) list(pathname, searchParams, response);
  else await get(pathname, request, response);
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
