/** The number of bytes that are examined if the name has no known type. */
export const sniffBytes = 512;

const signatures: readonly (readonly [string, string])[] = [
  ['\x89PNG\r\n\x1a\n', 'image/png'],
  ['\xff\xd8\xff', 'image/jpeg'],
  ['GIF8', 'image/gif'],
  ['%PDF-', 'application/pdf'],
  ['PK\x03\x04', 'application/zip'],
  ['\x1f\x8b\x08', 'application/gzip'],
];

/** The type of a file by its name, otherwise by its first bytes. */
export async function contentType(name: string, firstBytes: Buffer): Promise<string> {
  // Loaded when it is needed: its table costs a start two milliseconds.
  const { default: mime } = await import('mime/lite');
  const byName = mime.getType(name);
  if (byName !== null) return byName.startsWith('text/') ? `${byName}; charset=utf-8` : byName;
  const text = firstBytes.toString('latin1');
  const bySignature = signatures.find(([signature]) => text.startsWith(signature))?.[1];
  if (bySignature !== undefined) return bySignature;
  return isText(firstBytes) ? 'text/plain; charset=utf-8' : 'application/octet-stream';
}

/** Whether there are no control characters except the usual ones. */
function isText(bytes: Buffer): boolean {
  return bytes.every(
    (byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0c || byte === 0x0d || byte === 0x1b,
  );
}

/**
 * `inline` with the name in a form that every client can read (RFC 6266): quoted ASCII, otherwise percent-encoded
 * UTF-8.
 */
export function contentDisposition(name: string): string {
  if (/^[A-Za-z0-9._-]+$/.test(name)) return `inline; filename=${name}`;
  if (/^[\x20-\x7e]*$/.test(name)) return `inline; filename="${name.replace(/["\\]/g, '\\$&')}"`;
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `inline; filename*=utf-8''${encoded}`;
}
