import { createServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import { functionPorts } from '@soulbox/contract/functions';

/** Limit of simultaneous streams of a sandbox on its link. */
const streamsMax = 64;
/** MiB of memory for one link, including buffers. */
const sessionMemoryMib = 16;
const headerPairsMax = 32;

export type LinkHandler = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/**
 * Connections that the host has opened into sandboxes of functions, and on which it serves HTTP/2. Nothing in a sandbox
 * can connect to the host, but it can send requests on such a link. All input on a link is hostile and limited.
 */
export interface Links {
  /** Opens the link unless there is one. Never throws: false when the sandbox's supervisor does not accept it. */
  open(sandboxId: string, handler: LinkHandler): Promise<boolean>;
  has(sandboxId: string): boolean;
  close(sandboxId: string): void;
  closeAll(): void;
}

/** `onBroken` is called when a link breaks that the host has not closed: the supervisor has ended. */
export function createLinks(router: SandboxRouter, logger: Logger, onBroken: (sandboxId: string) => void): Links {
  const lines = new Map<string, Duplex>();
  const opening = new Map<string, Promise<boolean>>();

  const open = async (sandboxId: string, handler: LinkHandler): Promise<boolean> => {
    let connection: Duplex;
    try {
      connection = await router.dial(sandboxId, functionPorts.link);
    } catch (err) {
      logger.debug({ sandboxId, err }, 'sandbox of a function could not be linked');
      return false;
    }
    const server = createServer({
      maxSessionMemory: sessionMemoryMib,
      maxHeaderListPairs: headerPairsMax,
      settings: { maxConcurrentStreams: streamsMax },
    });
    server.on('request', handler);
    server.on('sessionError', () => connection.destroy());
    lines.set(sandboxId, connection);
    connection.on('error', () => undefined);
    connection.on('close', () => {
      if (lines.get(sandboxId) !== connection) return;
      lines.delete(sandboxId);
      onBroken(sandboxId);
    });
    server.emit('connection', connection);
    return true;
  };

  const close = (sandboxId: string): void => {
    const line = lines.get(sandboxId);
    lines.delete(sandboxId);
    line?.destroy();
  };

  return {
    async open(sandboxId, handler) {
      if (lines.has(sandboxId)) return true;
      const mine = opening.get(sandboxId) ?? open(sandboxId, handler).finally(() => opening.delete(sandboxId));
      opening.set(sandboxId, mine);
      return await mine;
    },
    has: (sandboxId) => lines.has(sandboxId),
    close,
    closeAll() {
      for (const sandboxId of [...lines.keys()]) close(sandboxId);
    },
  };
}
