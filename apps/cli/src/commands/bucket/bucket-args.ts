import { open } from 'node:fs/promises';
import { UsageError } from '../../command-line/usage-error.ts';

export const bucketArg = { type: 'positional', required: true, description: 'Its id or name' } as const;

/** Credentials are never an argument, which other users of the host could see. */
export const credentialsFileArg = {
  type: 'string',
  description: 'File with the credentials, a JSON object as docs/storage.md describes it; - is standard input',
  valueHint: 'FILE',
} as const;

export const pathOf = (bucket: string): string => `/buckets/${encodeURIComponent(bucket)}`;

/** Bytes. As for the credentials of the server's own store. */
const credentialsMax = 64 * 1024;

/** The credentials in a file, or on standard input for `-`. Undefined without a file. Throws UsageError. */
export async function readCredentials(
  file: string | undefined,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (file === undefined) return undefined;
  const what = file === '-' ? 'standard input' : file;
  const text = file === '-' ? await readAll(process.stdin, what) : await readFileOf(file);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The message of the parser has parts of the text.
  }
  throw new UsageError(`--credentials-file: ${what} is not a JSON object.`);
}

async function readFileOf(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    return await readAll(handle.createReadStream({ autoClose: false }), file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--credentials-file: ${file} cannot be read: ${error instanceof Error ? error.message : ''}`);
  }
}

async function readAll(source: AsyncIterable<Uint8Array>, what: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > credentialsMax) throw new UsageError(`--credentials-file: ${what} is larger than 64 KiB.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
