import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

interface Stored {
  readonly content: Buffer;
  readonly generation: number;
  readonly updated: Date;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Session {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly expected: string | undefined;
  content: Buffer;
  finished?: Stored;
}

export interface GcsServer extends AsyncDisposable {
  readonly url: string;
  /** The key of a service account, to sign URLs. */
  readonly serviceAccount: Readonly<Record<string, string>>;
}

const step = 256 * 1024;

/**
 * A bucket named `bucket` in memory, behind the part of GCS's JSON API that the driver uses, with the rules of its
 * documentation. No server for tests exists in the registries.
 */
export async function startGcsServer(): Promise<GcsServer> {
  const objects = new Map<string, Stored>();
  const sessions = new Map<string, Session>();
  const state: State = { objects, sessions, generation: Date.now() };
  const server = createServer((request, response) => {
    void answer(state, request, response).catch((thrown: unknown) => {
      if (!(thrown instanceof Refusal)) return void response.destroy();
      const error = { code: thrown.status, message: thrown.message, errors: [{ reason: thrown.message }] };
      response.writeHead(thrown.status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    serviceAccount: {
      ...{ type: 'service_account', project_id: 'test', private_key_id: 'a', client_id: '1' },
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      client_email: 'test@test.iam.gserviceaccount.com',
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface State {
  readonly objects: Map<string, Stored>;
  readonly sessions: Map<string, Session>;
  generation: number;
}

class Refusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

interface Exchange {
  readonly method: string;
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly body: Buffer;
  readonly response: ServerResponse;
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', 'http://host');
  const exchange = { method: request.method ?? '', url, request, body: await buffer(request), response };
  // A signed URL of the XML API. Google verifies the signature; here its form must do.
  if (url.searchParams.has('X-Goog-Signature')) {
    answerSigned(state, exchange);
    return;
  }
  const [, upload, key] = /^\/(upload\/)?storage\/v1\/b\/bucket\/o(?:\/([^/]+))?/.exec(url.pathname) ?? [];
  if (!url.pathname.includes('/b/bucket/')) throw new Refusal(404, 'notFound');
  if (upload !== undefined) {
    answerUpload(state, exchange);
    return;
  }
  if (key === undefined) {
    sendJson(response, listObjects(state, url.searchParams));
    return;
  }
  const name = decodeURIComponent(key);
  const target = /\/rewriteTo\/b\/bucket\/o\/([^/]+)$/.exec(url.pathname)?.[1];
  if (target !== undefined) {
    rewrite(state, exchange, { from: name, to: decodeURIComponent(target) });
    return;
  }
  const found = state.objects.get(name);
  if (found === undefined) throw new Refusal(404, 'notFound');
  if (exchange.method === 'DELETE') {
    state.objects.delete(name);
    return void response.writeHead(204).end();
  }
  if (url.searchParams.get('alt') !== 'media') {
    sendJson(response, resourceOf(name, found));
    return;
  }
  checkGeneration(found, url.searchParams.get('ifGenerationMatch') ?? undefined);
  sendContent(exchange, found);
}

function answerSigned(state: State, { method, url, response, body, request }: Exchange): void {
  const name = decodeURIComponent(url.pathname.replace(/^\/bucket\//, ''));
  if (method === 'PUT') {
    store(state, { name, metadata: {}, content: body });
    return void response.writeHead(200).end();
  }
  const found = state.objects.get(name);
  if (found === undefined) throw new Refusal(404, 'notFound');
  sendContent({ method, url, response, body, request }, found);
}

function sendContent({ request, response }: Exchange, { content, generation, updated }: Stored): void {
  const headers = { 'x-goog-generation': String(generation), 'last-modified': updated.toUTCString() };
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (start === undefined) {
    return void response.writeHead(200, { ...headers, 'content-length': content.length }).end(content);
  }
  if (Number(start) >= content.length) throw new Refusal(416, 'requestedRangeNotSatisfiable');
  const part = content.subarray(Number(start), Number(end) + 1);
  const range = `bytes ${start}-${Number(start) + part.length - 1}/${content.length}`;
  response.writeHead(206, { ...headers, 'content-length': part.length, 'content-range': range }).end(part);
}

function checkGeneration(found: Stored | undefined, expected: string | undefined): void {
  if (expected !== undefined && String(found?.generation ?? 0) !== expected) throw new Refusal(412, 'conditionNotMet');
}

function store(state: State, { name, metadata, content }: Pick<Session, 'name' | 'metadata' | 'content'>): Stored {
  const stored = { content, metadata, generation: ++state.generation, updated: new Date() };
  state.objects.set(name, stored);
  return stored;
}

function answerUpload(state: State, exchange: Exchange): void {
  const { method, url, request, body, response } = exchange;
  const expected = url.searchParams.get('ifGenerationMatch') ?? undefined;
  const kind = url.searchParams.get('uploadType');
  const id = url.searchParams.get('upload_id');
  if (id !== null) {
    const session = state.sessions.get(id);
    if (session === undefined) throw new Refusal(404, 'notFound');
    if (method === 'DELETE') {
      state.sessions.delete(id);
      return void response.writeHead(499).end();
    }
    continueSession(state, exchange, session);
    return;
  }
  if (kind === 'resumable') {
    const { name, metadata } = JSON.parse(body.toString()) as Pick<Session, 'name' | 'metadata'>;
    checkGeneration(state.objects.get(name), expected);
    const session = randomUUID();
    state.sessions.set(session, { name, metadata, expected, content: Buffer.alloc(0) });
    // As Google does: by the host that the client has asked.
    const host = `http://${request.headers.host ?? ''}`;
    return void response
      .writeHead(200, { location: `${host}${url.pathname}?uploadType=resumable&upload_id=${session}` })
      .end();
  }
  const boundary = /boundary=(.+)$/.exec(request.headers['content-type'] ?? '')?.[1] ?? '';
  const text = body.toString('latin1');
  const headEnd = text.indexOf('\r\n\r\n');
  const secondHead = text.indexOf(`\r\n--${boundary}\r\n`, headEnd);
  const contentStart = text.indexOf('\r\n\r\n', secondHead + 2) + 4;
  const contentEnd = text.lastIndexOf(`\r\n--${boundary}--`);
  const resource = JSON.parse(body.subarray(headEnd + 4, secondHead).toString()) as Pick<Session, 'name' | 'metadata'>;
  checkGeneration(state.objects.get(resource.name), expected);
  const content = Buffer.from(body.subarray(contentStart, contentEnd));
  sendJson(response, resourceOf(resource.name, store(state, { ...resource, content })));
}

function continueSession(state: State, { request, body, response }: Exchange, session: Session): void {
  const [, start, end, total] =
    /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(request.headers['content-range'] ?? '') ?? [];
  if (session.finished !== undefined) {
    sendJson(response, resourceOf(session.name, session.finished));
    return;
  }
  if (start !== undefined) {
    if (Number(start) !== session.content.length || Number(end) - Number(start) + 1 !== body.length)
      throw new Refusal(400, 'badContentRange');
    const isLast = total !== '*';
    // Of an unfinished upload only whole steps are kept.
    const kept = isLast ? body.length : body.length - (body.length % step);
    session.content = Buffer.concat([session.content, body.subarray(0, kept)]);
  }
  if (total !== '*' && Number(total) === session.content.length) {
    checkGeneration(state.objects.get(session.name), session.expected);
    session.finished = store(state, session);
    sendJson(response, resourceOf(session.name, session.finished));
    return;
  }
  const stored = session.content.length;
  response.writeHead(308, stored === 0 ? {} : { range: `bytes=0-${stored - 1}` }).end();
}

function rewrite(state: State, { response, url }: Exchange, { from, to }: { from: string; to: string }): void {
  const source = state.objects.get(from);
  if (source === undefined) throw new Refusal(404, 'notFound');
  // The first call of each copy does a part of it.
  if (!url.searchParams.has('rewriteToken')) {
    sendJson(response, { done: false, rewriteToken: 'more' });
    return;
  }
  sendJson(response, { done: true, resource: resourceOf(to, store(state, { ...source, name: to })) });
}

function listObjects(state: State, query: URLSearchParams): object {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter');
  const limit = Number(query.get('maxResults') ?? 1000);
  const after = Buffer.from(query.get('pageToken') ?? '', 'base64');
  const names = [...state.objects.keys()]
    .filter((name) => name.startsWith(prefix))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const items: object[] = [];
  const prefixes: string[] = [];
  let last = '';
  for (const name of names) {
    const slash = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
    const entry = slash === -1 ? name : name.slice(0, slash + 1);
    if (Buffer.compare(Buffer.from(entry), after) <= 0 || entry === last) continue;
    if (items.length + prefixes.length === limit)
      return { items, prefixes, nextPageToken: Buffer.from(last).toString('base64') };
    last = entry;
    if (slash === -1) items.push(resourceOf(name, state.objects.get(name) as Stored));
    else prefixes.push(entry);
  }
  return { items, prefixes };
}

function resourceOf(name: string, { content, generation, updated, metadata }: Stored): object {
  const size = String(content.length);
  return { name, size, generation: String(generation), updated: updated.toISOString(), metadata };
}

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
