import { findProcess } from '@soulbox/base';
import type { Logger, ProcessIdentity } from '@soulbox/base';
import type { BoxConfig } from '../config.ts';
import { writeServerFile } from '../server-file.ts';
import type { ServerFile } from '../server-file.ts';

export interface ServerFileWriter {
  /** Resolves when the server file names it. */
  noteProcess(part: string, pid: number): Promise<void>;
  /** The part stays off until an operator has looked. The server goes on without it. */
  noteGivenUp(part: string, err: Error): void;
  write(facts: Pick<ServerFile, 'port' | 'tlsPort' | 'state' | 'client'>): Promise<void>;
}

/** Keeps all processes of the server in its file: after a server was killed, the next one waits for them. */
export function createServerFileWriter(
  { dataDirectory, gateway, runner }: BoxConfig,
  logger: Pick<Logger, 'error' | 'warn'>,
): ServerFileWriter {
  const place = { instance: runner.instance, host: gateway.host };
  const { port, tlsPort } = gateway;
  const processes = new Map<string, ProcessIdentity>();
  const givenUp: string[] = [];
  let facts: Pick<ServerFile, 'port' | 'tlsPort' | 'state' | 'client'> = {
    port,
    tlsPort,
    state: 'starting',
    client: {},
  };
  let writing = Promise.resolve();
  const write = async (): Promise<void> => {
    // One failed write must not prevent the later ones.
    writing = writing
      .catch(() => undefined)
      .then(async () => {
        await writeServerFile(dataDirectory, { ...place, ...facts, children: [...processes.values()], givenUp });
      });
    await writing;
  };
  return {
    async noteProcess(part, pid) {
      const identity = findProcess(pid);
      if (identity !== undefined) processes.set(part, identity);
      await write();
    },
    noteGivenUp(part, err) {
      logger.error({ part, err }, 'a part of the server ended too often: it is off until the server is restarted');
      givenUp.push(part);
      write().catch((fault: unknown) => {
        logger.warn({ err: fault }, 'the server file could not be written');
      });
    },
    async write(next) {
      facts = next;
      await write();
    },
  };
}
