import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { pipeline } from 'node:stream/promises';
import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { FunctionsContext } from '../context.ts';
import { deleteValue, listValues, openNamespace, putValue, readValue } from './values.ts';
import type { NamespaceName } from './values.ts';
import { bytesFromHeader, expiryFromQuery, keyFromPath, metadataHeader, metadataFromHeader } from './wire.ts';

const listLimit = 1000;
const bulkKeysMax = 100;
const bulkBytesMax = 256 * 1024;
/** Limit of the values that a bulk read collects in memory (Workers KV: 25 MB). */
const bulkValuesMaxBytes = 25 * 1024 * 1024;

const listQuery = z.object({
  key_count_limit: z.coerce.number().int().min(1).max(listLimit).default(listLimit),
  prefix: z.string().max(512).default(''),
  cursor: z.string().max(1024).default(''),
});

const bulkSchema = z.object({
  keys: z.array(z.string().max(512)).max(bulkKeysMax),
  type: z.enum(['text', 'json']).default('text'),
  withMetadata: z.boolean().default(false),
});

/** The HTTP protocol of workerd's key-value binding (workerd 1.20261117.1, src/workerd/api/kv.c++). */
export async function serveKv(
  context: FunctionsContext,
  name: NamespaceName,
  target: { readonly method: string; readonly url: string },
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  const namespace = await openNamespace(context, name);
  const [path = '/', search = ''] = target.url.split('?', 2);
  const query = new URLSearchParams(search);
  const work = `${target.method} ${path === '/' ? 'list' : path === '/bulk/get' && target.method === 'POST' ? 'bulk' : 'key'}`;
  switch (work) {
    case 'GET key':
      await get(context, namespace, keyFromPath(path), response);
      return;
    case 'PUT key':
      await putValue(
        context,
        { teamId: name.teamId, namespace },
        {
          key: keyFromPath(path),
          announcedBytes: bytesFromHeader(request.headers['content-length']),
          metadata: metadataFromHeader(request.headers[metadataHeader]),
          expiresAt: expiryFromQuery(query, context.clock.now()),
          content: request as AsyncIterable<Uint8Array>,
        },
      );
      response.writeHead(200).end();
      return;
    case 'DELETE key':
      await deleteValue(context, namespace, keyFromPath(path));
      response.writeHead(200).end();
      return;
    case 'GET list':
      sendJson(response, await list(context, namespace, query));
      return;
    case 'POST bulk':
      sendJson(response, await bulk(context, namespace, request));
      return;
    default:
      throw new SoulBoxError('bad_request', `A key-value namespace does not support the method ${target.method}.`);
  }
}

async function get(
  context: FunctionsContext,
  namespace: string,
  key: string,
  response: Http2ServerResponse,
): Promise<void> {
  const value = await readValue(context, namespace, key);
  if (value === undefined) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    'content-length': value.sizeBytes,
    ...(value.metadata === undefined ? {} : { [metadataHeader]: value.metadata }),
  });
  await pipeline(value.content, response);
}

async function list(context: FunctionsContext, namespace: string, query: URLSearchParams): Promise<object> {
  const parsed = listQuery.safeParse(Object.fromEntries(query));
  if (!parsed.success)
    throw new SoulBoxError('bad_request', 'The limit, prefix or cursor of the list request is not valid.');
  const { key_count_limit: limit, prefix, cursor } = parsed.data;
  const after = cursor === '' ? undefined : Buffer.from(cursor, 'base64url').toString('utf8');
  const found = await listValues(context, namespace, { prefix, after, limit: limit + 1 });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const isComplete = found.length <= limit || last === undefined;
  return {
    keys: page.map(({ key, metadata, expiresAt }) => ({
      name: key,
      ...(expiresAt === undefined ? {} : { expiration: Math.ceil(expiresAt / 1000) }),
      ...(metadata === undefined ? {} : { metadata: JSON.parse(metadata) as unknown }),
    })),
    list_complete: isComplete,
    ...(isComplete ? {} : { cursor: Buffer.from(last.key, 'utf8').toString('base64url') }),
  };
}

async function bulk(context: FunctionsContext, namespace: string, request: Http2ServerRequest): Promise<object> {
  const parsed = bulkSchema.safeParse(parseJson(await gather(request as AsyncIterable<Uint8Array>, bulkBytesMax)));
  if (!parsed.success)
    throw new SoulBoxError('bad_request', 'The bulk read is not valid. It accepts at most 100 keys.');
  const { keys, type, withMetadata } = parsed.data;
  let left = bulkValuesMaxBytes;
  const result: Record<string, unknown> = {};
  for (const key of keys) {
    const found = await readValue(context, namespace, key);
    if (found === undefined) {
      result[key] = null;
      continue;
    }
    const text = await gather(found.content, left);
    left -= text.length;
    const value: unknown = type === 'json' ? parseJson(text) : text;
    const metadata: unknown = found.metadata === undefined ? null : JSON.parse(found.metadata);
    result[key] = withMetadata ? { value, metadata } : value;
  }
  return result;
}

async function gather(content: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > maxBytes)
      throw new SoulBoxError('body_too_large', 'The values of the bulk read are too large in total. Read fewer keys.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: Http2ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SoulBoxError('bad_request', 'The request body is not valid JSON.');
  }
}
