import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { envdPort, headers, privatePortHeader, tunnelProtocol } from '@soulbox/contract';
import type { SshAdmission } from '@soulbox/contract/ssh-service';
import { createPrograms } from '@soulbox/envd-client';
import type { Programs } from '@soulbox/envd-client';

/** The sandbox of one connection, through the gateway. */
export interface Sandbox extends Disposable {
  readonly programs: Programs;
  /**
   * Connects to a port inside. Rejects with an error whose message can be shown to the client. Until the connection ends,
   * the gateway lets its own clients not reach `privatePort`.
   */
  dial(port: number, options?: { readonly privatePort?: number }): Promise<Duplex>;
}

const dialMs = 30_000;
/** Of an error of the gateway. */
const answerMaxBytes = 16 * 1024;

/** `gatewaySocket`: the Unix socket on which the gateway serves this process. */
export function openSandbox(gatewaySocket: string, { sandboxId, accessToken }: SshAdmission): Sandbox {
  const hostOf = (port: number): string => `${port}-${sandboxId}.ssh`;
  const programs = createPrograms({ socketPath: gatewaySocket, host: hostOf(envdPort) }, accessToken);
  const dialed = new Set<Duplex>();
  return {
    programs,
    async dial(port, { privatePort } = {}) {
      const connection = await openTunnel(gatewaySocket, {
        host: hostOf(port),
        connection: 'Upgrade',
        upgrade: tunnelProtocol,
        [headers.accessToken]: accessToken,
        ...(privatePort === undefined ? {} : { [privatePortHeader]: String(privatePort) }),
      });
      dialed.add(connection);
      connection.once('close', () => dialed.delete(connection));
      return connection;
    },
    [Symbol.dispose]() {
      programs.close();
      for (const connection of dialed) connection.destroy();
    },
  };
}

async function openTunnel(socketPath: string, wanted: Record<string, string>): Promise<Duplex> {
  const outgoing = request({ socketPath, headers: wanted, agent: false, timeout: dialMs });
  return await new Promise((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error('The sandbox did not answer in time.')));
    outgoing.on('upgrade', (_answer, connection, head) => {
      connection.on('error', () => undefined);
      connection.setTimeout(0);
      if (head.length > 0) connection.unshift(head);
      resolve(connection);
    });
    outgoing.on('response', (answer) => {
      void readFault(answer).then((message) => reject(new Error(message)));
    });
    outgoing.end();
  });
}

async function readFault(answer: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const piece of answer) {
      text += String(piece);
      if (text.length > answerMaxBytes) break;
    }
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Not one of the gateway's errors.
  }
  return `The gateway answered with status ${String(answer.statusCode)}.`;
}
