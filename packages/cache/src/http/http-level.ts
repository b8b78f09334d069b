import { Agent as HttpAgent, request as requestPlain } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestTls } from 'node:https';
import { createArrival } from '../arrival.ts';
import type { Arrival } from '../arrival.ts';
import { createRecentKeys } from '../recent-keys.ts';
import { SlowLevelError } from '../level.ts';
import type { Level } from '../level.ts';
import { rewriteSignedUrl } from './http-base.ts';
import type { HttpBase } from './http-base.ts';

export interface HttpOptions {
  readonly base: HttpBase;
  /** A URL of the store with which the object can be read for some minutes. */
  readonly sign: (key: string, signal: AbortSignal) => Promise<string>;
  readonly valueMaxBytes: number;
  readonly limits?: Partial<HttpLimits>;
}

/** Milliseconds. */
export interface HttpLimits {
  /** To the beginning of a response. It may have to fetch the object from the store first. */
  readonly firstMs: number;
  /** Without a byte after it. */
  readonly silenceMs: number;
  /** For a whole value. */
  readonly totalMs: number;
}

const usualLimits: HttpLimits = { firstMs: 1000, silenceMs: 500, totalMs: 4000 };
const connectionsMax = 32;
/** Keys of which it has given wrong values, or a part: it may give them for as long as it likes. */
const refusedMax = 4096;

/**
 * A CDN or a caching proxy in front of the store. It gets what it does not have from the store by itself, so nothing is
 * given to it. Redirects are not followed.
 */
export function openHttpLevel({ base, sign, valueMaxBytes, limits: given }: HttpOptions): Level {
  const limits = { ...usualLimits, ...given };
  const isPlain = base.origin.startsWith('http:');
  const settings = { keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: 8 };
  const agent = isPlain ? new HttpAgent(settings) : new HttpsAgent(settings);
  const request = isPlain ? requestPlain : requestTls;
  const refused = createRecentKeys<true>(refusedMax);
  const ask = async (url: string, signal: AbortSignal, firstMs: number): Promise<IncomingMessage> => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const sent = request(url, { agent, signal, headers: { accept: '*/*' } }, resolve);
    sent.on('error', reject);
    const slow = setTimeout(() => sent.destroy(new SlowLevelError('It did not answer in time.')), firstMs);
    sent.end();
    try {
      return await promise;
    } finally {
      clearTimeout(slow);
    }
  };
  const receive = async (answer: IncomingMessage, arrival: Arrival): Promise<Buffer> => {
    // Without it the value cannot be passed on before it is whole.
    const length = Number(answer.headers['content-length'] ?? Number.NaN);
    if (length > valueMaxBytes) throw new Error(`It has sent ${length} bytes, more than an object has.`);
    if (answer.headers['content-encoding'] !== undefined) throw new Error('It has changed the encoding of an object.');
    const receiver = Number.isSafeInteger(length) && length >= 0 ? arrival.begin(length) : undefined;
    const pieces: Buffer[] = [];
    let received = 0;
    answer.setTimeout(limits.silenceMs, () => answer.destroy(new SlowLevelError('It has stopped in the middle.')));
    for await (const piece of answer as AsyncIterable<Buffer>) {
      received += piece.length;
      if (received > valueMaxBytes) throw new Error('It has sent more bytes than an object has.');
      if (receiver === undefined) pieces.push(piece);
      else receiver.take(piece);
    }
    if (!answer.complete) throw new Error('It has sent a part only.');
    return receiver?.whole() ?? Buffer.concat(pieces);
  };
  return {
    name: 'http',
    async find(key, signal, arrival = createArrival()) {
      if (refused.find(key) === true) return undefined;
      const ended = new AbortController();
      const either = AbortSignal.any([signal, ended.signal]);
      const slow = setTimeout(() => ended.abort(new SlowLevelError('It took too long.')), limits.totalMs);
      try {
        const url = rewriteSignedUrl(await sign(key, either), base);
        const answer = await ask(url, either, limits.firstMs);
        if (answer.statusCode === 200) {
          try {
            return await receive(answer, arrival);
          } catch (fault) {
            // Readers were told its length. If that was wrong, they must read again, and not from it.
            refused.add(key, true);
            throw fault;
          }
        }
        answer.destroy();
        // The store itself is asked: it may have been written since.
        if (answer.statusCode === 404) return undefined;
        throw new Error(`It has answered with ${answer.statusCode}.`);
      } catch (fault) {
        throw ended.signal.aborted ? ended.signal.reason : fault;
      } finally {
        clearTimeout(slow);
      }
    },
    offer: () => undefined,
    // It has no call for that which all have. What was deleted is not asked for.
    remove: () => Promise.resolve(),
    refuse(key) {
      refused.add(key, true);
      return Promise.resolve();
    },
    content: () => undefined,
    [Symbol.asyncDispose]() {
      agent.destroy();
      return Promise.resolve();
    },
  };
}
