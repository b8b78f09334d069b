import { SoulBoxError } from '@soulbox/base';
import { createHostPolicy } from '@soulbox/network/outside';
import { parseStorageUrl } from '@soulbox/storage/objects';
import type { ApiContext } from '../context.ts';

/** The store of a bucket: it decides the form of credentials. */
export type BucketKind = 's3' | 'gcs' | 'azure';

/** A region becomes a part of the host name. */
const regionForm = /^[a-z0-9-]{1,64}$/;
/** Parameters with such a name are credentials in other programs. Their values must not be stored readable. */
const secretForm = /key|secret|token|password|sig|credential/i;

/**
 * Returns the kind of store of a URL. Throws `bad_request` for one that tenants may not use: a folder of this machine,
 * credentials in the URL, and an endpoint at a private address that the operator has not allowed. A name is resolved
 * only when the bucket service connects, which checks the addresses.
 */
export function parseBucketUrl({ config, outside }: ApiContext, text: string): BucketKind {
  refuseCredentials(text);
  const url = parse(text);
  if (url.kind === 'file') throw invalid('a bucket must be s3://, r2://, gs:// or azblob://');
  if (url.kind === 's3' && url.region !== undefined && !regionForm.test(url.region))
    throw invalid('region must consist of lower-case letters, digits and "-"');
  if (url.endpoint !== undefined) {
    const setting = 'The operator can allow it with SOULBOX_BUCKET_ALLOW_PRIVATE.';
    createHostPolicy(config.bucketAllowPrivate, outside, setting).checkHost(new URL(url.endpoint).hostname);
  }
  return url.kind;
}

function refuseCredentials(text: string): void {
  const url = URL.parse(text);
  if (url === null) return;
  const isSecret = [...url.searchParams.keys()].some((name) => secretForm.test(name));
  if (isSecret || url.username !== '' || url.password !== '')
    throw invalid('it must not contain credentials: give them in "credentials"');
}

/** The same faults as those of the operator's own store, with the reason of a request. */
function parse(text: string): ReturnType<typeof parseStorageUrl> {
  try {
    return parseStorageUrl(text);
  } catch (thrown) {
    if (!(thrown instanceof SoulBoxError)) throw thrown;
    throw new SoulBoxError('bad_request', `url: ${thrown.message}`, { cause: thrown });
  }
}

const invalid = (why: string): SoulBoxError => new SoulBoxError('bad_request', `url: ${why}.`);
