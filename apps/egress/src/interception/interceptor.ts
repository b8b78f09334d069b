import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { boundInterimAnswers, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import type { InterceptedConnection, Interceptor } from '../connections/interceptor.ts';
import { EgressRefusal } from '../judge/refusal.ts';
import { createConversation } from './conversation.ts';
import type { Conversation } from './conversation.ts';
import { createHttp1Server } from './http1-server.ts';
import { forwardHttp1 } from './http1.ts';
import { forwardHttp2 } from './http2.ts';
import { createLeafCertificates } from './leaf-certificates.ts';
import { peekHello } from './peek-hello.ts';
import { createPlaceholderValues } from './placeholder-values.ts';
import { createTlsSessions } from './tls-sessions.ts';

const handshakeTimeoutMs = 30_000;
const supported: ReadonlySet<string> = new Set(['h2', 'http/1.1']);

/**
 * Terminates the TLS connections of sandboxes and forwards their requests one by one, each judged and changed by the rule
 * for the host. Both sides of a connection speak the same protocol, HTTP/1.1 or HTTP/2: the sandbox gets the one that the
 * host has chosen from those that the sandbox offers.
 */
export function createInterceptor(options: {
  readonly resolve: EgressRecords['resolve'];
  /** See `openTrust`. */
  readonly trust: SecureContext;
  readonly clock?: Clock;
  readonly logger: Logger;
}): Interceptor {
  const { resolve, trust, clock = systemClock, logger } = options;
  boundInterimAnswers();
  const leaves = createLeafCertificates(clock);
  const sessions = createTlsSessions(clock);
  const values = createPlaceholderValues(resolve, { clock, logger });
  const http1 = createHttp1Server();
  const running = new Set<Promise<void>>();
  const stop = new AbortController();

  const take = async (connection: InterceptedConnection): Promise<void> => {
    const { client, scheme } = connection;
    client.on('error', () => undefined);
    if (client instanceof Socket) client.setNoDelay(true);
    const protocols = scheme === 'https' ? await peekHello(client) : [];
    if (protocols === undefined) return;
    const offered = protocols.filter((protocol) => supported.has(protocol));
    await using conversation = createConversation(connection, { protocols: offered, trust, sessions, values, clock });
    const plain = scheme === 'https' ? await acceptTls(connection, conversation, offered) : client;
    if (plain === undefined) return;
    using forwarded =
      plain instanceof TLSSocket && plain.alpnProtocol === 'h2' ? forwardHttp2(plain, conversation) : undefined;
    using taker = forwarded === undefined ? forwardHttp1(conversation) : undefined;
    if (taker !== undefined) http1.serve(plain, taker);
    await closed(client, plain);
  };

  const acceptTls = async (
    connection: InterceptedConnection,
    conversation: Conversation,
    offered: readonly string[],
  ): Promise<TLSSocket | undefined> => {
    const { client, name } = connection;
    const { authority } = connection.sandbox();
    if (authority === undefined) throw new EgressRefusal('policy_changed');
    const preferred = offered[0] ?? '';
    // There is nothing to choose and to issue, so both handshakes take place at the same time.
    const isSettled = !offered.includes('h2') && leaves.has(authority, name);
    // If the host cannot be reached, the sandbox learns it as the answer to its request.
    const chosen = isSettled
      ? preferred
      : await conversation.first.then(
          ({ protocol }) => protocol,
          () => preferred,
        );
    conversation.settle(chosen);
    if (isGone(client)) return undefined;
    // Only now: with a name that is new, a sandbox makes this process sign no faster than hosts answer.
    const secureContext = await leaves.contextFor(authority, name);
    if (isGone(client)) return undefined;
    const protocol = chosen === '' && offered.includes('http/1.1') ? 'http/1.1' : chosen;
    const secure = new TLSSocket(client, {
      isServer: true,
      secureContext,
      requestCert: false,
      ...(protocol === '' ? {} : { ALPNProtocols: [protocol] }),
    });
    secure.on('error', (err: Error) => logger.debug({ err, name }, 'the TLS connection of a sandbox failed'));
    return (await handshake(secure)) ? secure : undefined;
  };

  return {
    async intercept(connection) {
      const work = take(connection).finally(() => connection.client.destroy());
      const end = (): void => void connection.client.destroy();
      stop.signal.addEventListener('abort', end, { once: true });
      running.add(work);
      try {
        await work;
      } finally {
        running.delete(work);
        stop.signal.removeEventListener('abort', end);
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.allSettled(running);
      http1[Symbol.dispose]();
    },
  };
}

const isGone = (client: Duplex): boolean => client.destroyed;

async function handshake(secure: TLSSocket): Promise<boolean> {
  return await new Promise((resolve) => {
    const timer = setTimeout(() => secure.destroy(), handshakeTimeoutMs);
    secure.once('secure', () => {
      clearTimeout(timer);
      // Only a `tls.Server` clears this, and an HTTP/2 session waits for it.
      Object.assign(secure, { secureConnecting: false });
      resolve(true);
    });
    secure.once('close', () => {
      clearTimeout(timer);
      resolve(false);
    });
  });
}

/** The end of the connection, whichever layer notices it. */
async function closed(client: Duplex, plain: Duplex): Promise<void> {
  await new Promise<void>((resolve) => {
    if (client.destroyed || plain.destroyed) resolve();
    client.once('close', resolve);
    plain.once('close', resolve);
  });
  plain.destroy();
}
