import type { IncomingHttpHeaders } from 'node:http';
import { SoulBoxError } from '@soulbox/base';

const headerPrefix = 'x-metadata-';
/** 255 bytes of an attribute's name, minus `user.e2b.`. */
const maxKeyBytes = 246;
/** Keys and values together: the amount that ext4 stores in one block. */
const maxTotalBytes = 4096;

/**
 * Parses the metadata in `X-Metadata-*` headers. Throws bad_request for values that no extended attribute can store.
 */
export function parseMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata: Record<string, string> = {};
  let totalBytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (!name.toLowerCase().startsWith(headerPrefix)) continue;
    const key = name.slice(headerPrefix.length).toLowerCase();
    const text = Array.isArray(value) ? value.join(', ') : (value ?? '');
    if (key === '' || key.length > maxKeyBytes) {
      throw new SoulBoxError('bad_request', `A metadata key must have 1 to ${maxKeyBytes} bytes.`);
    }
    if (!/^[\x20-\x7e]*$/.test(key + text)) {
      throw new SoulBoxError('bad_request', `The metadata '${key}' must contain printable ASCII characters only.`);
    }
    totalBytes += key.length + text.length;
    metadata[key] = text;
  }
  if (totalBytes > maxTotalBytes) throw new SoulBoxError('bad_request', `The metadata exceeds ${maxTotalBytes} bytes.`);
  return metadata;
}
