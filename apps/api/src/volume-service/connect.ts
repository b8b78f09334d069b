import { Agent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError, reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import type { VolumeAnswer, VolumeCall, VolumeService } from './volume-service.ts';

/** How long a call waits for a service that is being started. */
const startMs = 15_000;
const pauseMs = 25;
/** A service that neither takes nor sends a byte for this time hangs. It writes a large file to the disk before it answers. */
const silenceMs = 300_000;
/** Of an error. */
const errorMaxBytes = 16 * 1024;

/**
 * Calls the volume service on its socket. `wake` starts it if it does not run: it is called when nothing listens, so an
 * idle server without volumes has no such process.
 */
export function connectVolumeService(socketPath: string, wake: () => void): VolumeService {
  return {
    async call(call) {
      const answer = await send(call, { socketPath, wake });
      if (answer.statusCode !== undefined && answer.statusCode < 400)
        return { status: answer.statusCode, headers: answer.headers, body: answer };
      const error = await errorFrom(answer);
      // It may still be sending a body that was refused.
      answer.destroy();
      throw error;
    },
  };
}

interface Link {
  readonly socketPath: string;
  readonly wake: () => void;
}

/** Only connects again: a request of which a byte was sent is not repeated, because its body is consumed. */
async function send(call: VolumeCall, link: Link): Promise<IncomingMessage> {
  const giveUpAt = performance.now() + startMs;
  const sender: Sender = { failure: undefined };
  for (;;) {
    try {
      return await sendOnce(call, link, sender);
    } catch (thrown) {
      if (call.signal.aborted) throw call.signal.reason;
      if (sender.failure !== undefined) throw sender.failure;
      const code = isNodeError(thrown) ? thrown.code : undefined;
      const isAway = code === 'ECONNREFUSED' || code === 'ENOENT';
      if (!isAway || performance.now() > giveUpAt)
        throw new SoulBoxError('volumes_unavailable', 'The volume service does not answer. Retry in a moment.', {
          cause: thrown,
        });
      link.wake();
      await sleep(pauseMs, undefined, { signal: call.signal }).catch(() => undefined);
    }
  }
}

/** What its body has thrown, which is no fault of the service. */
interface Sender {
  failure: Error | undefined;
}

async function sendOnce(call: VolumeCall, { socketPath }: Link, sender: Sender): Promise<IncomingMessage> {
  const { method, body, headers = {}, signal } = call;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // A connection for each call: on a kept one, a call to a service that was restarted would fail. Without `keepAlive`, the
  // service would close it before it has read the rest of a refused body, and its answer could be lost.
  const agent = new Agent({ keepAlive: true });
  const sent = httpRequest({ socketPath, agent, method, path: pathOf(call), headers, signal }, resolve);
  sent.on('error', reject);
  sent.once('close', () => agent.destroy());
  sent.setTimeout(silenceMs, () => sent.destroy(new Error('The volume service is silent.')));
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

function pathOf({ teamId, groupId, volumeId, what, query = {} }: VolumeCall): string {
  const sent = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  const path = ['', teamId, groupId, volumeId, what].map(encodeURIComponent).join('/');
  return `${path}?${new URLSearchParams(sent).toString()}`;
}

async function errorFrom(answer: IncomingMessage): Promise<SoulBoxError> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > errorMaxBytes) break;
    }
    const { reason, message } = JSON.parse(Buffer.concat(chunks).toString()) as { reason: string; message: string };
    if (Object.hasOwn(reasons, reason)) return new SoulBoxError(reason as Reason, message);
  } catch {
    // An answer that is no error of ours.
  }
  return new SoulBoxError('internal', `The volume service returned ${answer.statusCode ?? 0}.`);
}

/** The whole answer of a call, which is small. */
export async function readAnswer(answer: VolumeAnswer): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}
