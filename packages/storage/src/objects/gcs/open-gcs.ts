import { randomId } from '@soulbox/base';
import type { Storage } from '@google-cloud/storage';
import type { WriteCondition } from '../object-store.ts';
import type { DriverInfo, StoreDriver } from '../store-driver.ts';
import { writeIdName } from '../store-driver.ts';
import { StoreFault } from '../store-fault.ts';
import { credentialsMaxAgeMs, renewing } from '../renewing.ts';
import type { ServiceAccount } from './credentials.ts';
import { faultFromFetch, faultFromResponse, faultFromToken } from './faults.ts';
import { createResumableUpload } from './resumable-upload.ts';
import type { ResumableUpload } from './resumable-upload.ts';

export interface GcsTarget {
  readonly bucket: string;
  readonly endpoint: string | undefined;
  /** `sdk`: the SDK's chain (Application Default Credentials). */
  readonly credentials: (() => Promise<ServiceAccount>) | 'anonymous' | 'sdk';
}

const googleEndpoint = 'https://storage.googleapis.com';

/**
 * Google Cloud Storage, by its JSON API. The SDK provides credentials and signatures; its calls cannot be aborted and
 * repeat by their own rules, so requests are made here.
 */
export async function openGcs(target: GcsTarget): Promise<StoreDriver> {
  const sdk = await import('@google-cloud/storage');
  const getStorage = renewing(credentialsMaxAgeMs, () => createStorage(sdk, target));
  const request = createRequest(target.credentials === 'anonymous' ? undefined : getStorage);
  const base = (target.endpoint ?? googleEndpoint).replace(/\/$/, '');
  const bucketUrl = `${base}/storage/v1/b/${encodeURIComponent(target.bucket)}/o`;
  const uploadUrl = `${base}/upload/storage/v1/b/${encodeURIComponent(target.bucket)}/o`;
  const objectUrl = (key: string): string => `${bucketUrl}/${encodeURIComponent(key)}`;
  const uploads = new Map<string, { readonly upload: ResumableUpload; readonly session: string }>();
  const uploadOf = (id: string) => {
    const found = uploads.get(id);
    if (found === undefined) throw new StoreFault('storage_not_found', 'There is no such upload.');
    return found;
  };
  const send =
    (session: string, signal: AbortSignal) => (headers: Readonly<Record<string, string>>, body: Uint8Array) =>
      request({ url: session, method: 'PUT', headers, body, signal, isRaw: true });

  return {
    // The size of an object is limited, not the number of its parts.
    parts: { maxCount: 100_000, maxBytes: 64 * 1024 * 1024, concurrency: 1 },
    async putWhole(key, bytes, { condition, writeId }, signal) {
      const boundary = `soulbox-${randomId(32)}`;
      const resource = JSON.stringify({ name: key, metadata: { [writeIdName]: writeId } });
      const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${resource}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
      const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--`)]);
      const headers = { 'content-type': `multipart/related; boundary=${boundary}` };
      const url = withQuery(uploadUrl, { uploadType: 'multipart', ...conditionOf(condition) });
      return infoOf(await json(await request({ url, method: 'POST', headers, body, signal })));
    },
    async startUpload(key, { condition, writeId }, signal) {
      const url = withQuery(uploadUrl, { uploadType: 'resumable', ...conditionOf(condition) });
      const body = Buffer.from(JSON.stringify({ name: key, metadata: { [writeIdName]: writeId } }));
      const headers = { 'content-type': 'application/json' };
      const response = await request({ url, method: 'POST', headers, body, signal });
      await response.body?.cancel();
      const session = response.headers.get('location');
      if (session === null) throw new StoreFault('storage_unavailable', 'The response of the store has no Location.');
      const id = randomId(16);
      uploads.set(id, { upload: createResumableUpload(faultFromResponse), session });
      return id;
    },
    async putPart({ id }, part, signal) {
      const { upload, session } = uploadOf(id);
      await upload.add(part, send(session, signal));
      return '';
    },
    async finishUpload({ id }, { sizeBytes }, signal) {
      const { upload, session } = uploadOf(id);
      const written = infoOf(await json(await upload.finish(sizeBytes, send(session, signal))));
      uploads.delete(id);
      return written;
    },
    async dropUpload({ id }, signal) {
      const found = uploads.get(id);
      uploads.delete(id);
      // Answered with 499 by the store.
      if (found !== undefined)
        await (
          await request({ url: found.session, method: 'DELETE', headers: {}, signal, isRaw: true })
        ).body?.cancel();
    },
    async open(key, { range, version }, signal) {
      const headers: Record<string, string> =
        range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
      const condition = version === undefined ? {} : { ifGenerationMatch: version };
      const url = withQuery(objectUrl(key), { alt: 'media', ...condition });
      const ended = new AbortController();
      const abort = (): void => ended.abort(signal.reason);
      signal.addEventListener('abort', abort);
      const response = await request({ url, method: 'GET', headers, signal: ended.signal }).finally(() =>
        signal.removeEventListener('abort', abort),
      );
      const close = (): void => ended.abort();
      const found = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
      if (range !== undefined && Number(found?.[1]) !== range.offset) {
        close();
        throw new StoreFault('storage_damaged', 'The store sent another range than the requested one.');
      }
      const sizeBytes = Number(found?.[2] ?? response.headers.get('content-length') ?? Number.NaN);
      const generation = response.headers.get('x-goog-generation');
      if (!Number.isSafeInteger(sizeBytes) || generation === null) {
        close();
        throw new StoreFault('storage_unavailable', 'The response of the store has no length or generation.');
      }
      const modifiedAt = new Date(response.headers.get('last-modified') ?? 0);
      const body = (response.body ?? noBytes()) as AsyncIterable<Uint8Array>;
      return { info: { key, sizeBytes, version: generation, modifiedAt }, body, close };
    },
    async stat(key, signal) {
      const response = await request({ url: objectUrl(key), method: 'GET', headers: {}, signal, isRaw: true });
      if (response.ok) return infoOf(await json(response));
      const fault = await faultFromResponse(response);
      if (fault.reason === 'storage_not_found') return undefined;
      throw fault;
    },
    async delete(key, signal) {
      const response = await request({ url: objectUrl(key), method: 'DELETE', headers: {}, signal, isRaw: true });
      if (!response.ok && response.status !== 404) throw await faultFromResponse(response);
      await response.body?.cancel();
    },
    async list({ prefix, cursor, limit, combinesFolders }, signal) {
      const url = withQuery(bucketUrl, {
        ...{ prefix, maxResults: String(limit) },
        ...(cursor === undefined ? {} : { pageToken: cursor }),
        ...(combinesFolders ? { delimiter: '/' } : {}),
      });
      const response = await request({ url, method: 'GET', headers: {}, signal, isRaw: true });
      if (response.status === 404) throw new StoreFault('config_invalid', 'The bucket does not exist.');
      if (!response.ok) throw await faultFromResponse(response);
      const page = (await json(response)) as ListAnswer;
      const objects = (page.items ?? []).map(infoOf);
      const next = page.nextPageToken;
      return { objects, folders: page.prefixes ?? [], ...(next === undefined ? {} : { cursor: next }) };
    },
    async copy(from, to, signal) {
      const url = `${objectUrl(from)}/rewriteTo/b/${encodeURIComponent(target.bucket)}/o/${encodeURIComponent(to)}`;
      let token: string | undefined;
      // Large objects take several calls.
      for (;;) {
        const query = token === undefined ? {} : { rewriteToken: token };
        const answer = (await json(
          await request({ url: withQuery(url, query), method: 'POST', headers: {}, signal }),
        )) as RewriteAnswer;
        if (answer.done === true) return infoOf(answer.resource);
        token = answer.rewriteToken;
        if (token === undefined) throw new StoreFault('storage_unavailable', 'The store does not continue its copy.');
      }
    },
    signGet: (key, expiresSeconds) => sign(getStorage, target, { key, action: 'read', expiresSeconds }),
    signPut: async (key, expiresSeconds) => ({
      url: await sign(getStorage, target, { key, action: 'write', expiresSeconds }),
      headers: {},
    }),
    async [Symbol.asyncDispose]() {
      // The connections of fetch end by themselves.
    },
  };
}

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // An empty object.
}

const scope = 'https://www.googleapis.com/auth/devstorage.read_write';

type Sdk = typeof import('@google-cloud/storage');

async function createStorage(sdk: Sdk, { endpoint, credentials }: GcsTarget): Promise<Storage> {
  const options = endpoint === undefined ? {} : { apiEndpoint: endpoint };
  if (credentials === 'sdk' || credentials === 'anonymous') return new sdk.Storage(options);
  const { GoogleAuth, JWT } = await import('google-auth-library');
  const account = await credentials();
  const auth = new GoogleAuth({ authClient: new JWT({ ...account, scopes: [scope] }) });
  // Otherwise signatures look for a key elsewhere. The option of the constructor that sets it prints a warning.
  auth.jsonContent = { client_email: account.email, private_key: account.key };
  return new sdk.Storage({ ...options, authClient: auth });
}

interface GcsRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
  /** Whether unsuccessful responses are returned. */
  readonly isRaw?: boolean;
}

/** Without `getStorage` requests have no credentials. */
function createRequest(getStorage: (() => Promise<Storage>) | undefined) {
  return async ({ url, method, headers, body, signal, isRaw = false }: GcsRequest): Promise<Response> => {
    const authorization = getStorage === undefined ? {} : await authorize(await getStorage(), url);
    let response: Response;
    try {
      const content = body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> };
      // 308 has another meaning for uploads.
      response = await fetch(url, {
        method,
        headers: { ...headers, ...authorization },
        signal,
        redirect: 'manual',
        ...content,
      });
    } catch (thrown) {
      throw faultFromFetch(thrown);
    }
    if (!isRaw && !response.ok) throw await faultFromResponse(response);
    return response;
  };
}

async function authorize(storage: Storage, url: string): Promise<Record<string, string>> {
  // Emulators need no token, and nobody else may see one.
  if (!url.startsWith('https:')) return {};
  try {
    const headers = await storage.authClient.getRequestHeaders(url);
    return { authorization: headers.get('authorization') ?? '' };
  } catch (thrown) {
    throw faultFromToken(thrown);
  }
}

interface ToSign {
  readonly key: string;
  readonly action: 'read' | 'write';
  readonly expiresSeconds: number;
}

async function sign(
  getStorage: () => Promise<Storage>,
  { bucket, credentials }: GcsTarget,
  { key, action, expiresSeconds }: ToSign,
) {
  if (credentials === 'anonymous')
    throw new StoreFault('storage_unsupported', 'Without credentials nothing is signed.');
  const file = (await getStorage()).bucket(bucket).file(key);
  const options = { version: 'v4', action, expires: Date.now() + 1000 * expiresSeconds } as const;
  try {
    const [url] = await file.getSignedUrl(options);
    return url;
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message.slice(0, 300) : '';
    const message = `The credentials cannot sign URLs, which needs the key of a service account: ${text}`;
    throw new StoreFault('storage_unsupported', message, { cause: thrown });
  }
}

function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  return `${url}?${new URLSearchParams(query).toString()}`;
}

function conditionOf(condition: WriteCondition | undefined): Record<string, string> {
  if (condition === undefined) return {};
  return { ifGenerationMatch: condition === 'absent' ? '0' : condition.version };
}

interface ObjectResource {
  readonly name?: string;
  readonly generation?: string;
  readonly size?: string;
  readonly updated?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

interface ListAnswer {
  readonly items?: readonly ObjectResource[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

interface RewriteAnswer {
  readonly done?: boolean;
  readonly rewriteToken?: string;
  readonly resource: ObjectResource;
}

async function json(response: Response): Promise<object> {
  try {
    return (await response.json()) as object;
  } catch (thrown) {
    throw new StoreFault('storage_unavailable', 'The response of the store cannot be read.', { cause: thrown });
  }
}

function infoOf(resource: ObjectResource | undefined): DriverInfo {
  const { name, generation, size, updated, metadata } = resource ?? {};
  if (name === undefined || generation === undefined || size === undefined)
    throw new StoreFault('storage_unavailable', 'The response of the store has no name, generation or size.');
  const modifiedAt = new Date(updated ?? 0);
  return { key: name, sizeBytes: Number(size), version: generation, modifiedAt, writeId: metadata?.[writeIdName] };
}
