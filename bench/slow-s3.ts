import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A process that answers S3's protocol like a store that is some way off: it keeps objects in memory, begins an answer
 * after `LATENCY_MS`, and sends `MIB_PER_SECOND` on each connection. Prints its port.
 */
const [latencyMs = 0, mibPerSecond = 1] = process.argv.slice(2).map(Number);
const pieceBytes = 256 * 1024;
const pieceMs = (1000 * pieceBytes) / (mibPerSecond * 1024 * 1024);

const objects = new Map<string, Buffer>();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '', 'http://store');
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  response.setHeader('etag', '"0123456789abcdef"');
  response.setHeader('last-modified', new Date(0).toUTCString());
  if (request.method === 'PUT') {
    objects.set(pathname, Buffer.concat(pieces));
    response.end();
    return;
  }
  const object = objects.get(pathname);
  await sleep(latencyMs);
  if (object === undefined) {
    response.writeHead(404).end('<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>');
    return;
  }
  response.setHeader('content-length', object.length);
  const from = performance.now();
  for (let at = 0, sent = 1; at < object.length; at += pieceBytes, sent++) {
    response.write(object.subarray(at, at + pieceBytes));
    const aheadMs = from + sent * pieceMs - performance.now();
    if (aheadMs > 1) await sleep(aheadMs);
  }
  response.end();
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
