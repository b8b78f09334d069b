import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A process that answers S3's protocol as fast as it can: it forgets what is uploaded, and every object has the same 64
 * MiB. So a client is measured, and no store. Prints its port.
 */
const content = Buffer.alloc(64 * 1024 * 1024, 'soulbox');
const etag = '"0123456789abcdef"';
const xml = (text: string): string => `<?xml version="1.0" encoding="UTF-8"?>${text}`;

const server = createServer((request, response) => {
  const { method, url = '' } = request;
  request.resume();
  request.once('end', () => {
    response.setHeader('etag', etag);
    response.setHeader('last-modified', new Date(0).toUTCString());
    if (method === 'GET') response.setHeader('content-length', content.length).end(content);
    else if (method !== 'POST') response.end();
    else if (url.includes('uploadId='))
      response.end(xml(`<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`));
    else response.end(xml('<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>'));
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
