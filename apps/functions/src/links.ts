import { createServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import { functionPorts } from '@soulbox/contract/functions';

/** What a sandbox may have open on its link at once. */
const streamsMax = 64;
/** MiB of memory for one link, buffers included. */
const sessionMemoryMib = 16;
const headerPairsMax = 32;

export type LinkHandler = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/**
 * Connections that the host has opened into sandboxes of functions and on which it serves HTTP/2: nothing in a sandbox can call home, but it
 * can ask on a line that was laid for it. What comes over one is hostile and bounded.
 */
export interface Links {
  /** Lays the line unless there is one. Never throws: false when the sandbox's supervisor does not take it. */
  open(sandboxId: string, handler: LinkHandler): Promise<boolean>;
  has(sandboxId: string): boolean;
  close(sandboxId: string): void;
  closeAll(): void;
}

/** `onBroken` is called when a line breaks that nobody closed: the supervisor is gone. */
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
