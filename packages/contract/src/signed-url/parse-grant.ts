import { addressRangesMax, isAddressRange } from './address-ranges.ts';
import { canonicalPath } from './canonical-path.ts';
import { isFilePrefix } from './file-prefix.ts';
import { parameterNames as names, parameterPrefix } from './parameters.ts';
import type { Grant } from './parameters.ts';
import type { Parameter } from './query.ts';

const known: ReadonlySet<string> = new Set(Object.values(names));

const keyForm = /^s[a-z0-9]{12}$/;
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const secondsForm = /^[1-9]\d{0,10}$/;
const nonceForm = /^[A-Za-z0-9_-]{22}$/;
const bytesForm = /^[1-9]\d{0,14}$/;
const typeForm = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/(\*|[a-z0-9][a-z0-9!#$&^_.+-]{0,63})$/;
/** SHA-256 in base64url without padding. */
const signatureForm = /^[A-Za-z0-9_-]{43}$/;

export type ParsedGrant =
  | { readonly grant: Grant; readonly signature: string; readonly own: readonly Parameter[] }
  | { readonly fault: string };

/** Separates the parameters of the signature from the request's own. */
export function parseGrant(parameters: readonly Parameter[]): ParsedGrant {
  const values = new Map<string, string>();
  const own: Parameter[] = [];
  for (const parameter of parameters) {
    const [name, value] = parameter;
    if (!name.toLowerCase().startsWith(parameterPrefix)) own.push(parameter);
    else if (!known.has(name)) return { fault: `has the unknown parameter ${JSON.stringify(name.slice(0, 64))}` };
    else if (values.has(name)) return { fault: `has ${name} more than once` };
    else values.set(name, value);
  }
  const fault = findFault(values);
  if (fault !== undefined) return { fault };
  const get = (name: string): string => values.get(name) ?? '';
  const maxBytes = values.get(names.maxBytes);
  return {
    grant: {
      keyId: get(names.keyId),
      signerId: get(names.signerId),
      expiresAt: Number(get(names.expiresAt)),
      nonce: get(names.nonce),
      once: values.has(names.once),
      maxBytes: maxBytes === undefined ? undefined : Number(maxBytes),
      contentType: values.get(names.contentType),
      prefix: values.get(names.prefix),
      filePrefix: values.get(names.filePrefix),
      addresses: values.get(names.addresses)?.split(','),
    },
    signature: get(names.signature),
    own,
  };
}

const required = [names.keyId, names.signerId, names.expiresAt, names.nonce, names.signature] as const;

const isValid: Readonly<Record<string, (value: string) => boolean>> = {
  [names.keyId]: (value) => keyForm.test(value),
  [names.signerId]: (value) => uuidForm.test(value),
  [names.expiresAt]: (value) => secondsForm.test(value),
  [names.nonce]: (value) => nonceForm.test(value),
  [names.once]: (value) => value === '1',
  [names.maxBytes]: (value) => bytesForm.test(value),
  [names.contentType]: isMediaType,
  [names.prefix]: isPathPrefix,
  [names.filePrefix]: isFilePrefix,
  [names.addresses]: (value) => areAddressRanges(value.split(',')),
  [names.signature]: (value) => signatureForm.test(value),
};

function findFault(values: ReadonlyMap<string, string>): string | undefined {
  const missing = required.find((name) => !values.has(name));
  if (missing !== undefined) return `has no ${missing}`;
  for (const [name, value] of values) if (isValid[name]?.(value) !== true) return `has an invalid ${name}`;
  if (values.has(names.prefix) && values.has(names.filePrefix))
    return `has both ${names.prefix} and ${names.filePrefix}`;
  return undefined;
}

/** Whether the text names a media type, or with `*` all types of a kind, in lower case and without parameters. */
export function isMediaType(text: string): boolean {
  return typeForm.test(text);
}

/** Whether the text is a canonical path that ends with a slash. */
export function isPathPrefix(text: string): boolean {
  const canonical = canonicalPath(text);
  return text.endsWith('/') && 'path' in canonical && canonical.path === text;
}

export function areAddressRanges(ranges: readonly string[]): boolean {
  return ranges.length > 0 && ranges.length <= addressRangesMax && ranges.every(isAddressRange);
}

/** The grant as parameters of a URL, without a signature. */
export function parametersOf(grant: Grant): Parameter[] {
  const all: readonly (readonly [string, string | undefined])[] = [
    [names.keyId, grant.keyId],
    [names.signerId, grant.signerId],
    [names.expiresAt, String(grant.expiresAt)],
    [names.nonce, grant.nonce],
    [names.once, grant.once ? '1' : undefined],
    [names.maxBytes, grant.maxBytes?.toString()],
    [names.contentType, grant.contentType],
    [names.prefix, grant.prefix],
    [names.filePrefix, grant.filePrefix],
    [names.addresses, grant.addresses?.join(',')],
  ];
  return all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}
