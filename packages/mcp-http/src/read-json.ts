import type { IncomingMessage } from 'node:http';

/** A tool call may contain a file. */
const bodyBytesMax = 32 * 1024 * 1024;

/** A request body that is refused. */
export class BodyError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Undefined for a request without a body. Throws BodyError for one that is no JSON, or above 32 MiB. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (request.method !== 'POST') return undefined;
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > bodyBytesMax) throw new BodyError(413, `A message can have at most ${String(bodyBytesMax)} bytes.`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch {
    throw new BodyError(400, 'The request body is not valid JSON.');
  }
}
