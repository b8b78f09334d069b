import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { EgressReason } from '@soulbox/contract';
import type { Clock } from '@soulbox/base';
import type { InterceptedConnection } from '../connections/interceptor.ts';
import { EgressRefusal } from '../judge/refusal.ts';
import { findHostRule } from '../policies/policed-sandbox.ts';
import type { HostRule } from '../policies/policed-sandbox.ts';
import { headersOfRule } from './rule-headers.ts';
import type { RuleHeaders } from './rule-headers.ts';
import type { PlaceholderValues } from './placeholder-values.ts';
import { judgeRequest, pathOf } from './request-plan.ts';
import type { RequestHead } from './request-plan.ts';
import { refusalAnswer } from './refusal-answer.ts';
import type { RefusalAnswer } from './refusal-answer.ts';
import type { TlsSessions } from './tls-sessions.ts';
import { startTls } from './upstream-tls.ts';

/** A connection to the host, encrypted if the sandbox's is. */
export interface Upstream {
  readonly socket: Socket;
  /** The protocol that was negotiated by ALPN. Empty: none. */
  readonly protocol: string;
  readonly address: string;
}

/** A request that may go on. */
export interface Admitted {
  readonly target: string;
  readonly host: string;
  readonly rule: RuleHeaders;
  readonly isPathJudged: boolean;
}

/** Counts one request for the log. */
export interface RequestEntry {
  sent(bytes: number): void;
  received(bytes: number): void;
  /** Writes the entry. Only the first call has an effect. */
  end(reason: EgressReason | undefined, wasSent?: boolean): void;
}

/** What the requests of one connection share. */
export interface Conversation {
  readonly connection: InterceptedConnection;
  /** The first connection to the host, which is opened at once. */
  readonly first: Promise<Upstream>;
  /** From now on only this protocol is offered to the host, because the sandbox speaks it. Empty: none. */
  settle(protocol: string): void;
  /** Hands out the connection that was opened first, then opens others. Throws `EgressRefusal`. */
  openUpstream(): Promise<Upstream>;
  /** Judges a request. Throws `EgressRefusal` if a placeholder has no value. */
  admit(head: RequestHead): Promise<Admitted | RefusalAnswer>;
  begin(head: RequestHead): RequestEntry;
}

export function createConversation(
  connection: InterceptedConnection,
  options: {
    readonly protocols: readonly string[];
    readonly trust: SecureContext;
    readonly sessions: TlsSessions;
    readonly values: PlaceholderValues;
    readonly clock: Clock;
  },
): Conversation & AsyncDisposable {
  const { trust, sessions, values, clock } = options;
  let { protocols } = options;
  const { scheme, name, port, signal } = connection;
  const ownValues = values.open(name);
  const open = new Set<Socket>();
  let address = '';
  /** The sandbox has left: what is connected to the host from now on is closed at once. */
  let isOver = false;
  const findRule = (): HostRule | undefined => findHostRule(connection.sandbox(), name);

  const openNew = async (): Promise<Upstream> => {
    if (isOver) throw new EgressRefusal('upstream_failed');
    const dialed = await connection.dial(name);
    own(dialed.socket);
    // Otherwise the body of a small request waits 40 ms for the other side's acknowledgement of the head.
    dialed.socket.setNoDelay(true);
    address = dialed.address;
    if (scheme === 'http') return { socket: dialed.socket, protocol: '', address };
    const { sandboxId } = connection.sandbox();
    const host = `${name}:${port}`;
    const secure = await startTls(dialed.socket, {
      ...{ name, protocols, trust, session: sessions.find(sandboxId, host) },
      onSession: (session) => sessions.keep(sandboxId, host, session),
    });
    own(secure);
    return { socket: secure, protocol: secure.alpnProtocol || '', address };
  };
  const own = (socket: Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    if (signal.aborted || isOver) socket.destroy();
  };
  const first = openNew();
  first.catch(() => undefined);
  let unused: Promise<Upstream> | undefined = first;

  return {
    connection,
    first,
    settle: (protocol) => void (protocols = protocol === '' ? [] : [protocol]),
    async openUpstream() {
      const ready = unused;
      unused = undefined;
      const found = await ready;
      return found === undefined || found.socket.destroyed ? await openNew() : found;
    },
    async admit(head) {
      const rule = findRule();
      const judged = judgeRequest(head, connection, rule);
      if (!judged.isAllowed) return refusalAnswer(judged.status, judged.reason, judged.message);
      const { target, host } = judged;
      const headers = await headersOfRule(rule, { sandbox: connection.sandbox(), scheme, values: ownValues });
      return { target, host, rule: headers, isPathJudged: (rule?.requests.length ?? 0) > 0 };
    },
    begin(head) {
      const startedAtMs = clock.now();
      const rule = findRule()?.text ?? '';
      let bytesSent = 0;
      let bytesReceived = 0;
      let isOver = false;
      return {
        sent: (bytes) => void (bytesSent += bytes),
        received: (bytes) => void (bytesReceived += bytes),
        end(reason, wasSent = reason === undefined) {
          if (isOver) return;
          isOver = true;
          connection.record({
            ...{ startedAtMs, name, rule, reason, bytesSent, bytesReceived },
            address: wasSent ? address : '',
            method: head.method.slice(0, 32),
            path: pathOf(head.target).slice(0, 1024),
            isAllowed: wasSent,
          });
        },
      };
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      ownValues[Symbol.dispose]();
      await first.catch(() => undefined);
      for (const socket of open) socket.destroy();
    },
  };
}

export function isRefusal(admitted: Admitted | RefusalAnswer): admitted is RefusalAnswer {
  return 'status' in admitted;
}
