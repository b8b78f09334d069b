import { randomId } from '@soulbox/base';
import type {
  BlobItem,
  ContainerClient,
  ContainerListBlobFlatSegmentResponse,
  ContainerListBlobHierarchySegmentResponse,
} from '@azure/storage-blob';
import type { WriteCondition } from '../object-store.ts';
import { credentialsMaxAgeMs, renewing } from '../renewing.ts';
import type { DriverInfo, StoreDriver } from '../store-driver.ts';
import { writeIdName } from '../store-driver.ts';
import { StoreFault } from '../store-fault.ts';
import type { AzureCredentials } from './credentials.ts';
import { faultFromAzure } from './faults.ts';

export interface AzureTarget {
  readonly container: string;
  readonly account: string;
  /** With the account in its path if the host does not have it. */
  readonly endpoint: string;
  readonly credentials: () => Promise<AzureCredentials | 'anonymous'>;
}

type ListAnswer = ContainerListBlobFlatSegmentResponse | ContainerListBlobHierarchySegmentResponse;

type Sdk = typeof import('@azure/storage-blob');

/** Azure Blob Storage, with block blobs. */
export async function openAzure(target: AzureTarget): Promise<StoreDriver> {
  const sdk = await import('@azure/storage-blob');
  const getContainer = renewing(credentialsMaxAgeMs, async () => createClient(sdk, target, await target.credentials()));
  const send = async <T>(work: (container: ContainerClient) => Promise<T>): Promise<T> => {
    const container = await getContainer();
    try {
      return await work(container);
    } catch (thrown) {
      throw faultFromAzure(thrown);
    }
  };

  return {
    parts: { maxCount: 50_000, maxBytes: 64 * 1024 * 1024, concurrency: 4 },
    putWhole: (key, bytes, { condition, writeId }, abortSignal) =>
      send(async (container) => {
        const options = { abortSignal, conditions: conditionsOf(condition), metadata: { [writeIdName]: writeId } };
        return versionOf(await container.getBlockBlobClient(key).upload(bytes, bytes.length, options));
      }),
    // Blocks belong to no upload until they are committed: their names do.
    startUpload: () => Promise.resolve(randomId(16)),
    putPart: ({ key, id }, { number, bytes }, abortSignal) =>
      send(async (container) => {
        const block = Buffer.from(`${id}${String(number).padStart(8, '0')}`).toString('base64');
        await container.getBlockBlobClient(key).stageBlock(block, bytes, bytes.length, { abortSignal });
        return block;
      }),
    finishUpload: ({ key }, { tags, condition, writeId }, abortSignal) =>
      send(async (container) => {
        const options = { abortSignal, conditions: conditionsOf(condition), metadata: { [writeIdName]: writeId } };
        return versionOf(await container.getBlockBlobClient(key).commitBlockList([...tags], options));
      }),
    // The store removes uncommitted blocks after a week.
    dropUpload: () => Promise.resolve(),
    open: (key, { range, version }, abortSignal) =>
      send(async (container) => {
        const conditions = version === undefined ? {} : { ifMatch: version };
        const options = { abortSignal, conditions, maxRetryRequests: 0 };
        const answer = await container.getBlobClient(key).download(range?.offset ?? 0, range?.length, options);
        const body = answer.readableStreamBody as (AsyncIterable<Uint8Array> & { destroy(): void }) | undefined;
        if (body === undefined) throw new StoreFault('storage_unavailable', 'The store sent no content.');
        // The SDK's stream also reports that it was destroyed, when nobody listens any more.
        (body as unknown as NodeJS.ReadableStream).on('error', () => undefined);
        const close = (): void => body.destroy();
        const { etag, lastModified } = answer;
        const isWhole = range === undefined;
        const found = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.contentRange ?? '');
        if (!isWhole && Number(found?.[1]) !== range.offset) {
          close();
          throw new StoreFault('storage_damaged', 'The store sent another range than the requested one.');
        }
        const contentLength = isWhole ? answer.contentLength : Number(found?.[2]);
        return { info: infoOf(key, { etag, lastModified, contentLength }), body, close };
      }),
    stat: async (key, abortSignal) => {
      try {
        return await send(async (container) =>
          infoOf(key, await container.getBlobClient(key).getProperties({ abortSignal })),
        );
      } catch (thrown) {
        if (thrown instanceof StoreFault && thrown.reason === 'storage_not_found') return undefined;
        throw thrown;
      }
    },
    delete: async (key, abortSignal) => {
      await send((container) => container.getBlobClient(key).deleteIfExists({ abortSignal }));
    },
    list: ({ prefix, cursor, limit, combinesFolders }, abortSignal) =>
      send(async (container) => {
        const settings = { maxPageSize: limit, ...(cursor === undefined ? {} : { continuationToken: cursor }) };
        const pages = combinesFolders
          ? container.listBlobsByHierarchy('/', { prefix, abortSignal }).byPage(settings)
          : container.listBlobsFlat({ prefix, abortSignal }).byPage(settings);
        const { value: page } = (await readable(pages.next())) as { readonly value: ListAnswer | undefined };
        if (page === undefined) return { objects: [], folders: [] };
        const { segment, continuationToken } = page;
        const objects = segment.blobItems.map(infoOfItem);
        const folders = 'blobPrefixes' in segment ? (segment.blobPrefixes ?? []).map(({ name }) => name) : [];
        const next = continuationToken === '' ? undefined : continuationToken;
        return { objects, folders, ...(next === undefined ? {} : { cursor: next }) };
      }),
    copy: (from, to, abortSignal) =>
      send(async (container) => {
        const source = container.getBlobClient(from);
        const { contentLength: sizeBytes, etag } = await source.getProperties({ abortSignal });
        const options = {
          abortSignal,
          intervalInMs: copyPollMs,
          sourceConditions: { ...(etag === undefined ? {} : { ifMatch: etag }) },
        };
        const poller = await container.getBlobClient(to).beginCopyFromURL(source.url, options);
        const copied = await poller.pollUntilDone();
        if (copied.copyStatus !== 'success')
          throw new StoreFault(
            'storage_unavailable',
            `The copy of the store ended as ${copied.copyStatus ?? 'nothing'}.`,
          );
        const found = await container.getBlobClient(to).getProperties({ abortSignal });
        return { ...versionOf(found), sizeBytes: sizeBytes ?? 0 };
      }),
    signGet: (key, expiresSeconds) =>
      send((container) => sign(sdk, target, { container, key, expiresSeconds, permissions: 'r' })),
    signPut: async (key, expiresSeconds) => ({
      url: await send((container) => sign(sdk, target, { container, key, expiresSeconds, permissions: 'cw' })),
      headers: { 'x-ms-blob-type': 'BlockBlob' },
    }),
    async [Symbol.asyncDispose]() {
      // The SDK's connections end by themselves.
    },
  };
}

/** The SDK takes for granted that what it got is a list. */
async function readable<T>(page: Promise<T>): Promise<T> {
  try {
    return await page;
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    throw new StoreFault('storage_unavailable', 'The response of the store cannot be read.', { cause: thrown });
  }
}

const copyPollMs = 200;
/** Clocks differ. */
const signedBeforeMs = 5 * 60_000;

function createClient(
  sdk: Sdk,
  { endpoint, account, container }: AzureTarget,
  credentials: AzureCredentials | 'anonymous',
): ContainerClient {
  const url = `${endpoint.replace(/\/$/, '')}/${container}`;
  // Repetitions are those of `attempts.ts`.
  const options = { retryOptions: { maxTries: 1 } };
  if (credentials === 'anonymous') return new sdk.ContainerClient(url, new sdk.AnonymousCredential(), options);
  if ('sasToken' in credentials)
    return new sdk.ContainerClient(`${url}?${credentials.sasToken}`, new sdk.AnonymousCredential(), options);
  return new sdk.ContainerClient(url, new sdk.StorageSharedKeyCredential(account, credentials.accountKey), options);
}

interface ToSign {
  readonly container: ContainerClient;
  readonly key: string;
  readonly expiresSeconds: number;
  readonly permissions: string;
}

async function sign(
  sdk: Sdk,
  { credentials }: AzureTarget,
  { container, key, expiresSeconds, permissions }: ToSign,
): Promise<string> {
  const known = await credentials();
  if (known === 'anonymous' || !('accountKey' in known))
    throw new StoreFault('storage_unsupported', 'Only the key of an Azure account can sign URLs, not a token (SAS).');
  return await container.getBlobClient(key).generateSasUrl({
    permissions: sdk.BlobSASPermissions.parse(permissions),
    startsOn: new Date(Date.now() - signedBeforeMs),
    expiresOn: new Date(Date.now() + 1000 * expiresSeconds),
  });
}

function conditionsOf(condition: WriteCondition | undefined): { ifNoneMatch?: string; ifMatch?: string } {
  if (condition === undefined) return {};
  return condition === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: condition.version };
}

interface Answer {
  readonly etag?: string | undefined;
  readonly contentLength?: number | undefined;
  readonly lastModified?: Date | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

function versionOf({ etag }: { readonly etag?: string | undefined }): { readonly version: string } {
  if (etag === undefined) throw new StoreFault('storage_unavailable', 'The response of the store has no ETag.');
  // Lists have it without quotes.
  return { version: `"${etag.replaceAll('"', '')}"` };
}

function infoOf(key: string, answer: Answer): DriverInfo {
  const { contentLength: sizeBytes, lastModified, metadata } = answer;
  if (sizeBytes === undefined) throw new StoreFault('storage_unavailable', 'The response of the store has no length.');
  const modifiedAt = lastModified ?? new Date(0);
  return { key, sizeBytes, ...versionOf(answer), modifiedAt, writeId: metadata?.[writeIdName] };
}

function infoOfItem({ name, properties }: BlobItem): DriverInfo {
  return infoOf(name, properties);
}
