import type { IncomingMessage } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { bodyChunks } from './body-chunks.ts';

/** The maximum body size of the small JSON calls. */
const maxJsonBytes = 1024 * 1024;

/** Parses a JSON body. Returns undefined for an empty one. Throws bad_request if it is too large or malformed. */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of bodyChunks(request)) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxJsonBytes)
      throw new SoulBoxError('bad_request', `The request body exceeds ${maxJsonBytes} bytes.`);
    chunks.push(chunk);
  }
  if (sizeBytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    throw new SoulBoxError('bad_request', 'The request body is not valid JSON.');
  }
}
