import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { answerError, orderSchema, readOrder } from '@soulbox/fuse-mounts';
import type { AliveCalls } from '@soulbox/fuse-mounts';
import { checkObjectKey } from '@soulbox/storage/objects';
import { z } from 'zod';
import { checksMax } from '../limits.ts';
import type { BucketMounts } from '../mounts/serve-buckets.ts';
import type { BucketPlace, BucketStores } from '../stores/bucket-stores.ts';

export interface HandlerParts {
  readonly stores: BucketStores;
  readonly mounts: BucketMounts;
  readonly alive: AliveCalls;
  /** Returns the descriptor that was sent with a ticket. */
  readonly take: (ticket: Uint8Array) => number | undefined;
  readonly logger: Logger;
}

const bucketOrderSchema = orderSchema.extend({ prefix: z.string().refine(isPrefix, 'is no prefix of keys') });

/** Answers the calls of the control plane and of the runner. */
export function createHandler({ stores, mounts, alive, take, logger }: HandlerParts): RequestListener {
  let checks = 0;
  const check = async (place: BucketPlace): Promise<void> => {
    if (checks >= checksMax) throw new SoulBoxError('limit_exceeded', `The server makes ${checksMax} checks at once.`);
    checks += 1;
    try {
      await using used = stores.use(place);
      await used.store.list({ limit: 1 });
    } finally {
      checks -= 1;
    }
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '' } = request;
    if (`${method} ${url}` === 'GET /alive') {
      alive.answer(request, response);
      return;
    }
    if (`${method} ${url}` === 'GET /mounts') {
      answerJson(response, mounts.list());
      return;
    }
    const { place, operation, query } = parseRequest(method, url);
    switch (operation) {
      case 'GET check':
        await check(place);
        answerJson(response, {});
        return;
      case 'POST sync':
        await mounts.sync(place, query.get('mount') ?? '');
        break;
      case 'PUT mount':
        await mounts.serve({ ...(await readOrder(request, query, { schema: bucketOrderSchema, take })), place });
        break;
      default:
        throw new SoulBoxError('route_not_found', 'There is no such call.');
    }
    response.writeHead(204).end();
  };
  return (request, response) => {
    serve(request, response).catch((thrown: unknown) => {
      answerError(thrown, { request, response }, { noun: 'bucket', logger });
    });
  };
}

function answerJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

const ids = /^[a-zA-Z0-9-]{1,64}$/;

/** `METHOD /<team>/<bucket>/<what>?<query>`. Throws `bad_request`. */
function parseRequest(method: string, target: string) {
  const url = new URL(target, 'http://buckets');
  const [, teamId = '', bucketId = '', what = '', ...rest] = url.pathname.split('/');
  if (![teamId, bucketId].every((id) => ids.test(id)) || rest.length > 0)
    throw new SoulBoxError('bad_request', 'The path of the call names no bucket.');
  return { place: { teamId, bucketId }, operation: `${method} ${what}`, query: url.searchParams };
}

function isPrefix(prefix: string): boolean {
  if (prefix === '') return true;
  try {
    checkObjectKey(prefix, '');
    return prefix.endsWith('/');
  } catch {
    return false;
  }
}
