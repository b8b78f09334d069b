import { isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import { SoulBoxError } from '@soulbox/base';
import { checkObjectKey } from './object-key.ts';

/** What a storage URL says. It never has credentials. */
export type StorageUrl = FileUrl | S3Url | AzureUrl | GcsUrl;

interface Named {
  /** As given. */
  readonly url: string;
  /** Empty, or it ends with `/`. */
  readonly prefix: string;
}

interface FileUrl extends Named {
  readonly kind: 'file';
  readonly path: string;
}

/** R2 too. */
interface S3Url extends Named {
  readonly kind: 's3';
  readonly bucket: string;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly usesPaths: boolean;
}

interface AzureUrl extends Named {
  readonly kind: 'azure';
  readonly container: string;
  readonly account: string;
  readonly endpoint: string;
}

interface GcsUrl extends Named {
  readonly kind: 'gcs';
  readonly bucket: string;
  /** Undefined: that of Google. */
  readonly endpoint: string | undefined;
}

export const storageUrlForms = [
  'file:///FOLDER',
  's3://BUCKET/PREFIX?region=REGION&endpoint=URL&path-style=true',
  'r2://BUCKET/PREFIX?account=ID&jurisdiction=eu',
  'gs://BUCKET/PREFIX',
  'azblob://CONTAINER/PREFIX?account=NAME',
] as const;

const maxLength = 2048;

/** Throws `config_invalid`. */
export function parseStorageUrl(text: string): StorageUrl {
  const url = text.length > maxLength ? null : URL.parse(text);
  if (url === null) throw invalid(`It must have one of the forms ${storageUrlForms.join(', ')}.`);
  // Before anything that quotes the URL.
  if (url.username !== '' || url.password !== '') throw invalid(`It must not contain credentials. ${credentialsHelp}`);
  if (url.hash !== '') throw invalid('It must not have a fragment (#).');
  const parse = parsers[url.protocol];
  if (parse === undefined) throw invalid(`Its scheme must be one of ${Object.keys(parsers).join(' ')}`);
  return parse(url, text);
}

const credentialsHelp =
  'They come from the environment, profiles and roles that the SDK of the store reads, or from the file that SOULBOX_STORAGE_CREDENTIALS_FILE names.';

const parsers: Readonly<Record<string, ((url: URL, text: string) => StorageUrl) | undefined>> = {
  'file:': parseFile,
  's3:': parseS3,
  'r2:': parseR2,
  'gs:': parseGcs,
  'azblob:': parseAzure,
};

function invalid(why: string): SoulBoxError {
  return new SoulBoxError('config_invalid', `The storage URL is not valid. ${why}`);
}

function parseFile(url: URL, text: string): FileUrl {
  readParameters(url, []);
  if (url.host !== '' || url.pathname === '/' || text.includes('%00')) throw invalid('A file URL is file:///FOLDER.');
  return { kind: 'file', url: text, prefix: '', path: fileURLToPath(url).replace(/(?<=.)\/+$/, '') };
}

function parseS3(url: URL, text: string): S3Url {
  const {
    region,
    endpoint,
    'path-style': style,
    insecure,
  } = readParameters(url, [...(['region', 'endpoint', 'path-style', 'insecure'] as const)]);
  const usesPaths = parseFlag('path-style', style) ?? endpoint !== undefined;
  return { ...parseBucket(url, text), region, endpoint: parseEndpoint(endpoint, insecure), usesPaths };
}

/** https://developers.cloudflare.com/r2/api/s3/api/ */
function parseR2(url: URL, text: string): S3Url {
  const { account, jurisdiction, endpoint, insecure } = readParameters(url, [
    ...(['account', 'jurisdiction', 'endpoint', 'insecure'] as const),
  ]);
  const isAccount = account !== undefined && /^[0-9a-f]{32}$/.test(account);
  if (endpoint === undefined && !isAccount) throw invalid('An r2 URL needs account=, the 32 digits of the account.');
  if (jurisdiction !== undefined && !['eu', 'fedramp'].includes(jurisdiction))
    throw invalid('jurisdiction must be eu or fedramp.');
  const host = [account, jurisdiction, 'r2.cloudflarestorage.com'].filter((part) => part !== undefined).join('.');
  const ofAccount = endpoint === undefined ? `https://${host}` : parseEndpoint(endpoint, insecure);
  return { ...parseBucket(url, text), region: 'auto', endpoint: ofAccount, usesPaths: true };
}

function parseGcs(url: URL, text: string): GcsUrl {
  const { endpoint, insecure } = readParameters(url, ['endpoint', 'insecure']);
  return { ...parseBucket(url, text), kind: 'gcs', endpoint: parseEndpoint(endpoint, insecure) };
}

function parseAzure(url: URL, text: string): AzureUrl {
  const { account, endpoint, insecure } = readParameters(url, ['account', 'endpoint', 'insecure']);
  if (account === undefined || !/^[a-z0-9]{3,24}$/.test(account))
    throw invalid('An azblob URL needs account=, the name of the storage account.');
  const { bucket: container, prefix } = parseBucket(url, text);
  const ofAccount = parseEndpoint(endpoint, insecure) ?? `https://${account}.blob.core.windows.net`;
  return { kind: 'azure', url: text, prefix, container, account, endpoint: ofAccount };
}

function parseBucket(url: URL, text: string): Pick<S3Url, 'kind' | 'url' | 'prefix' | 'bucket'> {
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(url.hostname) || isIP(url.hostname) !== 0 || url.port !== '')
    throw invalid('The name of the bucket is missing or not valid.');
  return { kind: 's3', url: text, bucket: url.hostname, prefix: parsePrefix(url) };
}

function parsePrefix({ pathname }: URL): string {
  let path: string;
  try {
    path = decodeURIComponent(pathname).replace(/^\//, '').replace(/\/$/, '');
  } catch {
    throw invalid('Its path has an invalid escape (%).');
  }
  if (path === '') return '';
  checkObjectKey(path, '');
  return `${path}/`;
}

function readParameters<Name extends string>(url: URL, names: readonly Name[]): Partial<Record<Name, string>> {
  const values: Partial<Record<Name, string>> = {};
  for (const [name, value] of url.searchParams) {
    // The value is not quoted: it could be a secret.
    const known = names.find((each) => each === name);
    if (known === undefined) {
      const isSecret = /key|secret|token|password|sig|credential/i.test(name);
      const why = isSecret ? ` ${credentialsHelp}` : names.length > 0 ? ` Known: ${names.join(', ')}.` : '';
      throw invalid(`It must not have the parameter ${JSON.stringify(name)}.${why}`);
    }
    if (value === '' || values[known] !== undefined) throw invalid(`The parameter ${name} must have one value.`);
    values[known] = value;
  }
  return values;
}

function parseFlag(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalid(`${name} must be true or false.`);
}

/** Over plain HTTP anyone on the way reads and changes objects. */
function parseEndpoint(text: string | undefined, insecure: string | undefined): string | undefined {
  const allowsHttp = parseFlag('insecure', insecure) ?? false;
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw invalid('endpoint must be an http or https URL.');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw invalid('endpoint must be a URL without credentials and parameters.');
  const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !isLocal && !allowsHttp)
    throw invalid('endpoint must be https, unless insecure=true accepts that anyone on the way can read all.');
  return url.href;
}
