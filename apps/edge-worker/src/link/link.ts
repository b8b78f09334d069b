import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { functionLinkPaths } from '@soulbox/contract/functions';
import type { FunctionLog } from '../log/function-log.ts';

/** The host links when it wakes a sandbox for a request. Requests to the host wait this long for that. */
const waitForHostMs = 5000;
/** Lines within this time are sent together. */
const sendLogAfterMs = 20;
const refusedBy = constants.NGHTTP2_CANCEL;

/** The connection to the host. The host has opened it and serves HTTP/2 on it; this side is the client. */
export interface Link {
  /** Takes the host's connections; the newest is used. */
  readonly server: Server;
  /** Opens a stream to the host. Rejects when no host links in time. */
  request(headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream>;
}

export function openLink(log: FunctionLog): Link {
  let session: ClientHttp2Session | undefined;
  let waiting: (() => void)[] = [];

  const server = createServer((socket) => {
    socket.setNoDelay(true);
    const linked = connect('http://host', { createConnection: () => socket, settings: { enablePush: false } });
    // A pause closes the connection. Open streams report their own errors.
    linked.on('error', () => undefined);
    linked.on('close', () => {
      if (session === linked) session = undefined;
    });
    session?.destroy();
    session = linked;
    for (const tell of waiting) tell();
    waiting = [];
    sendLog(0);
  });
  server.on('error', () => undefined);

  const linked = async (): Promise<ClientHttp2Session> => {
    if (session === undefined || session.destroyed) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        setTimeout(resolve, waitForHostMs);
      });
    }
    if (session === undefined || session.destroyed) throw new Error('The server is not connected to this sandbox.');
    return session;
  };

  let sentSeq = 0;
  let timer: NodeJS.Timeout | undefined;
  /** Sends the lines after `seq`; the host ignores lines that it already has. */
  const sendLog = (seq: number): void => {
    const lines = log.after(seq);
    if (session === undefined || session.destroyed || lines.length === 0) return;
    sentSeq = lines.at(-1)?.seq ?? seq;
    const stream = session.request({ ':method': 'POST', ':path': functionLinkPaths.logs });
    stream.on('error', () => undefined);
    stream.resume();
    stream.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  };
  log.onAdded(() => {
    timer ??= setTimeout(() => {
      timer = undefined;
      sendLog(sentSeq);
    }, sendLogAfterMs);
  });

  return {
    server,
    async request(headers) {
      const current = await linked();
      return current.request(headers);
    },
  };
}

/** Cancels a stream from this side. */
export function giveUp(stream: ClientHttp2Stream): void {
  stream.close(refusedBy);
}
