import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { errorFromUnknown } from '@soulbox/base';
import { httpStatusFromError } from '@soulbox/contract';
import { functionLinkPaths } from '@soulbox/contract/functions';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { serveKv } from '../kv/serve-kv.ts';
import { createSlots } from '../kv/slots.ts';
import type { LinkHandler } from '../links.ts';

/** Limit of one upload of log lines: all the lines that a supervisor keeps. */
const logBytesMax = 1024 * 1024;

/**
 * Values that are read for a sandbox at the same time. Each holds buffers (about 0.7 MiB) as long as the sandbox does not
 * take its bytes. They do not count for the memory limit of the link.
 */
const readsMax = 16;

/** Answers requests from the sandbox of one function. Only the namespaces bound to the function are visible to it. */
export function createLinkHandler(
  context: FunctionsContext,
  { id, teamId, kvBindings }: Pick<FunctionRecord, 'id' | 'teamId' | 'kvBindings'>,
  sandboxId: string,
): LinkHandler {
  const reads = createSlots(readsMax);
  const handle = async (request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> => {
    const { url, method } = request;
    if (method === 'POST' && url === functionLinkPaths.logs) {
      for (const line of (await readText(request, logBytesMax)).split('\n')) {
        if (line !== '') context.logBook.take(id, sandboxId, line);
      }
      response.writeHead(204).end();
    } else if (url.startsWith(functionLinkPaths.kv)) {
      const [, binding = '', rest = '/'] = /^\/kv\/([A-Za-z0-9_]+)(\/.*)$/.exec(url) ?? [];
      const namespace = Object.hasOwn(kvBindings, binding) ? kvBindings[binding] : undefined;
      if (namespace === undefined) response.writeHead(404).end('no such namespace');
      else {
        using _slot = method === 'GET' || method === 'POST' ? await reads.take(response.stream) : undefined;
        await serveKv(context, { teamId, namespace }, { method, url: rest }, request, response);
      }
    } else {
      response.writeHead(404).end();
    }
  };
  return (request, response) => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    handle(request, response).catch((thrown: unknown) => {
      const error = errorFromUnknown(thrown);
      if (error.reason === 'internal') context.logger.error({ sandboxId, err: thrown }, 'call over a link failed');
      if (response.headersSent || response.destroyed) response.stream.close();
      else response.writeHead(httpStatusFromError(error), { 'content-type': 'text/plain' }).end(error.message);
    });
  };
}

async function readText(request: Http2ServerRequest, maxBytes: number): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  for await (const piece of request as AsyncIterable<string>) {
    text += piece;
    if (text.length > maxBytes) {
      request.destroy();
      break;
    }
  }
  return text;
}
