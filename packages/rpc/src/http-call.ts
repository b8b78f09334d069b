import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { reconnect } from './reconnect.ts';
import type { WakingService } from './reconnect.ts';

const jsonMaxBytes = 1024 * 1024;
/** Of an error. */
const errorMaxBytes = 16 * 1024;

/** A service that speaks HTTP. */
export interface HttpService extends WakingService {
  /** One that neither takes nor sends a byte for this time hangs. 0: no limit. Milliseconds. */
  readonly silenceMs: number;
}

export interface HttpCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it comes. */
  readonly body?: AsyncIterable<Uint8Array>;
  /** Ends the call, also while its answer is read. */
  readonly signal: AbortSignal;
}

/**
 * Returns a response below 400, whose body must be read or destroyed. Throws the error of the service, whose body is
 * `{reason, message}`. Only connects again: a request of which a byte was sent is not repeated, because its body is
 * consumed.
 */
export async function callHttpService(call: HttpCall, service: HttpService): Promise<IncomingMessage> {
  const answer = await send(call, service);
  if (answer.statusCode !== undefined && answer.statusCode < 400) return answer;
  const error = await errorFrom(answer, service);
  // It may still be sending a body that was refused.
  answer.destroy();
  throw error;
}

/** The whole body of a response, which is JSON of 1 MiB at most. */
export async function readJson(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > jsonMaxBytes) throw new SoulBoxError('internal', 'A response of a service is longer than 1 MiB.');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

async function send(call: HttpCall, service: HttpService): Promise<IncomingMessage> {
  const sender: Sender = { failure: undefined };
  const sendAgain = async (): Promise<IncomingMessage> => await sendOnce(call, service, sender);
  return await reconnect(service, call.signal, sendAgain, () => sender.failure);
}

/** What its body has thrown, which is no fault of the service. */
interface Sender {
  failure: Error | undefined;
}

async function sendOnce(call: HttpCall, service: HttpService, sender: Sender): Promise<IncomingMessage> {
  const { body, headers = {}, method, path, signal } = call;
  const { socketPath, name, silenceMs } = service;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // A connection for each call: on a kept one, a call to a service that was restarted would fail. Without `keepAlive`, the
  // service would close it before it has read the rest of a refused body, and its answer could be lost.
  const agent = new Agent({ keepAlive: true });
  const sent = httpRequest({ socketPath, agent, method, path, headers, signal }, resolve);
  sent.on('error', reject);
  sent.once('close', () => agent.destroy());
  if (silenceMs > 0) sent.setTimeout(silenceMs, () => sent.destroy(new Error(`The ${name} is silent.`)));
  if (body === undefined) sent.end();
  else void sendBody(sent, body, sender);
  return await promise;
}

/** The body is only read once there is a connection. An error of its sender ends the call with that error. */
async function sendBody(sent: ClientRequest, body: AsyncIterable<Uint8Array>, sender: Sender): Promise<void> {
  const isConnected = await new Promise<boolean>((resolve) => {
    sent.once('socket', (socket) => {
      if (!socket.connecting) resolve(true);
      socket.once('connect', () => resolve(true));
    });
    sent.once('error', () => resolve(false));
  });
  if (!isConnected) return;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (thrown) {
      sender.failure = thrown instanceof Error ? thrown : new Error(String(thrown));
      throw thrown;
    }
  }
  // Its failure is an error of the request, or comes after the answer.
  await pipeline(Readable.from(watched(), { objectMode: false }), sent).catch(() => undefined);
}

async function errorFrom(answer: IncomingMessage, { name }: HttpService): Promise<SoulBoxError> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > errorMaxBytes) break;
    }
  } catch {
    // An answer that is no error of ours.
  }
  return errorFromAnswer(name, answer.statusCode ?? 0, Buffer.concat(chunks).toString());
}

/** The error in the body of a response, which is `{reason, message}`. */
export function errorFromAnswer(serviceName: string, statusCode: number, body: string): SoulBoxError {
  try {
    const { reason, message } = JSON.parse(body) as { reason: string; message: string };
    if (Object.hasOwn(reasons, reason)) return new SoulBoxError(reason as Reason, message);
  } catch {
    // An answer that is no error of ours.
  }
  return new SoulBoxError('internal', `The ${serviceName} returned ${statusCode}.`);
}
