import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { Credentials } from '../credentials-file.ts';
import type { DriverInfo, StoreDriver } from '../store-driver.ts';
import { writeIdName } from '../store-driver.ts';
import type { WriteCondition } from '../object-store.ts';
import { StoreFault } from '../store-fault.ts';
import { faultFromS3 } from './faults.ts';

export interface S3Target {
  readonly bucket: string;
  readonly region: string | undefined;
  /** Of a store that speaks S3. Undefined: that of AWS. */
  readonly endpoint: string | undefined;
  /** Whether the bucket is in the path of URLs and not in their host. */
  readonly usesPaths: boolean;
  /** `sdk`: the chain of the SDK (environment, profiles, roles of machines and containers). */
  readonly credentials: (() => Promise<Credentials>) | 'anonymous' | 'sdk';
}

/** The SDK renews credentials 5 minutes before their end: with this end it asks again after a minute. */
const credentialsMs = 6 * 60_000;
const socketsMax = 64;
const connectMs = 5000;

/** Amazon S3, Cloudflare R2 and others with the same protocol. */
export async function openS3(target: S3Target): Promise<StoreDriver> {
  const sdk = await import('@aws-sdk/client-s3');
  const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner');
  const { bucket: Bucket, credentials } = target;
  const client = createClient(sdk, target, credentials);
  const send = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      throw faultFromS3(thrown);
    }
  };

  return {
    parts: { maxCount: 10_000, maxBytes: 64 * 1024 * 1024, concurrency: 4 },
    async putWhole(Key, bytes, { condition, writeId }, abortSignal) {
      const input = { Bucket, Key, Body: bytes, ContentLength: bytes.length, ...ifWritten(condition) };
      const command = new sdk.PutObjectCommand({ ...input, Metadata: { [writeIdName]: writeId } });
      return { version: versionOf(await send(client.send(command, { abortSignal }))) };
    },
    async startUpload(Key, { writeId }, abortSignal) {
      const command = new sdk.CreateMultipartUploadCommand({ Bucket, Key, Metadata: { [writeIdName]: writeId } });
      const { UploadId } = await send(client.send(command, { abortSignal }));
      return given(UploadId, 'UploadId');
    },
    async putPart({ key: Key, id: UploadId }, { number: PartNumber, bytes }, abortSignal) {
      const input = { Bucket, Key, UploadId, PartNumber, Body: bytes, ContentLength: bytes.length };
      const { ETag } = await send(client.send(new sdk.UploadPartCommand(input), { abortSignal }));
      return given(ETag, 'ETag');
    },
    async finishUpload({ key: Key, id: UploadId }, { tags, condition }, abortSignal) {
      const Parts = tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
      const input = { Bucket, Key, UploadId, MultipartUpload: { Parts }, ...ifWritten(condition) };
      return {
        version: versionOf(await send(client.send(new sdk.CompleteMultipartUploadCommand(input), { abortSignal }))),
      };
    },
    async dropUpload({ key: Key, id: UploadId }, abortSignal) {
      await send(client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { abortSignal }));
    },
    async open(Key, { range, version }, abortSignal) {
      const Range = range === undefined ? undefined : `bytes=${range.offset}-${range.offset + range.length - 1}`;
      const command = new sdk.GetObjectCommand({ Bucket, Key, Range, IfMatch: version });
      const answer = await send(client.send(command, { abortSignal }));
      const body = answer.Body as (AsyncIterable<Uint8Array> & { destroy(): void }) | undefined;
      if (body === undefined) throw new StoreFault('storage_unavailable', 'The store sent no content.');
      const total = answer.ContentRange?.split('/')[1] ?? answer.ContentLength;
      // A store that ignores the range would be read from its beginning.
      if (range !== undefined && rangeStart(answer.ContentRange) !== range.offset) {
        body.destroy();
        throw new StoreFault('storage_damaged', 'The store sent another range than the requested one.');
      }
      return { info: infoOf(Key, { ...answer, ContentLength: Number(total) }), body, close: () => body.destroy() };
    },
    async stat(Key, abortSignal) {
      try {
        return infoOf(Key, await send(client.send(new sdk.HeadObjectCommand({ Bucket, Key }), { abortSignal })));
      } catch (thrown) {
        if (thrown instanceof StoreFault && thrown.reason === 'storage_not_found') return undefined;
        throw thrown;
      }
    },
    async delete(Key, abortSignal) {
      await send(client.send(new sdk.DeleteObjectCommand({ Bucket, Key }), { abortSignal }));
    },
    async list({ prefix, cursor, limit, combinesFolders }, abortSignal) {
      const command = new sdk.ListObjectsV2Command({
        ...{ Bucket, Prefix: prefix, MaxKeys: limit, ContinuationToken: cursor, EncodingType: 'url' },
        Delimiter: combinesFolders ? '/' : undefined,
      });
      const page = await send(client.send(command, { abortSignal }));
      const decode = page.EncodingType === 'url' ? decodeKey : (key: string) => key;
      const objects = (page.Contents ?? []).map((entry) =>
        infoOf(decode(given(entry.Key, 'Key')), { ...entry, ContentLength: entry.Size, Metadata: undefined }),
      );
      const folders = (page.CommonPrefixes ?? []).map(({ Prefix }) => decode(given(Prefix, 'Prefix')));
      return { objects, folders, cursor: page.IsTruncated === true ? page.NextContinuationToken : undefined };
    },
    async copy(from, to, abortSignal) {
      const source = await send(client.send(new sdk.HeadObjectCommand({ Bucket, Key: from }), { abortSignal }));
      const sizeBytes = source.ContentLength ?? 0;
      if (sizeBytes > copyMaxBytes)
        throw new StoreFault('limit_exceeded', `The store copies at most ${copyMaxBytes} bytes at once.`);
      const CopySource = `${Bucket}/${from.split('/').map(encodeURIComponent).join('/')}`;
      const input = { Bucket, Key: to, CopySource, CopySourceIfMatch: source.ETag };
      const { CopyObjectResult } = await send(client.send(new sdk.CopyObjectCommand(input), { abortSignal }));
      return { version: versionOf(CopyObjectResult ?? {}), sizeBytes };
    },
    async signGet(Key, expiresIn) {
      return await send(getSignedUrl(client, new sdk.GetObjectCommand({ Bucket, Key }), { expiresIn }));
    },
    async signPut(Key, expiresIn) {
      const url = await send(getSignedUrl(client, new sdk.PutObjectCommand({ Bucket, Key }), { expiresIn }));
      return { url, headers: {} };
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await Promise.resolve();
    },
  };
}

/** CopyObject's limit. */
const copyMaxBytes = 5 * 1024 ** 3;

type Sdk = typeof import('@aws-sdk/client-s3');

function createClient(sdk: Sdk, target: S3Target, credentials: S3Target['credentials']): S3Client {
  const { region, endpoint, usesPaths: forcePathStyle } = target;
  return new sdk.S3Client({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle,
    // Repetitions are those of `attempts.ts`.
    maxAttempts: 1,
    // The signature has the SHA-256 of each body. Stores other than AWS do not know all checksums of the SDK.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      httpAgent: { maxSockets: socketsMax },
      httpsAgent: { maxSockets: socketsMax },
    },
    ...accessOf(credentials),
  });
}

function accessOf(credentials: S3Target['credentials']): Pick<S3ClientConfig, 'credentials' | 'signer'> {
  if (credentials === 'sdk') return {};
  // Neither the chain of the SDK nor a signature.
  if (credentials === 'anonymous')
    return {
      credentials: { accessKeyId: '', secretAccessKey: '' },
      signer: { sign: (request) => Promise.resolve(request) },
    };
  return {
    credentials: async () => ({ ...(await credentials()), expiration: new Date(Date.now() + credentialsMs) }),
  };
}

function ifWritten(condition: WriteCondition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (condition === undefined) return {};
  return condition === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: condition.version };
}

function given<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new StoreFault('storage_unavailable', `The response of the store has no ${name}.`);
  return value;
}

function versionOf({ ETag }: { readonly ETag?: string | undefined }): string {
  return given(ETag, 'ETag');
}

interface Answer {
  readonly ETag?: string | undefined;
  readonly ContentLength?: number | undefined;
  readonly LastModified?: Date | undefined;
  readonly Metadata?: Readonly<Record<string, string>> | undefined;
}

function infoOf(key: string, answer: Answer): DriverInfo {
  const sizeBytes = given(answer.ContentLength, 'length');
  const modifiedAt = answer.LastModified ?? new Date(0);
  return { key, sizeBytes, version: versionOf(answer), modifiedAt, writeId: answer.Metadata?.[writeIdName] };
}

function rangeStart(contentRange: string | undefined): number | undefined {
  const start = /^bytes (\d+)-/.exec(contentRange ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
}

/** `EncodingType=url` encodes as forms do. */
function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', '%20'));
}
