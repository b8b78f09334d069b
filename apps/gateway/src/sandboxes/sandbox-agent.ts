import { Agent } from 'node:http';
import type { AgentOptions, ClientRequest, ClientRequestArgs } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Opens a connection to a port of the sandbox the agent belongs to. */
export type Dial = (port: number) => Promise<Duplex>;

/** Node's agent over dialed connections, pooled by port alone: one agent serves one sandbox. */
export class SandboxAgent extends Agent {
  readonly #dial: Dial;

  constructor(dial: Dial, options: AgentOptions) {
    super(options);
    this.#dial = dial;
  }

  override getName(options: { port?: number | string | null | undefined } = {}): string {
    return String(options.port);
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, connection: Duplex) => void,
  ): undefined {
    this.#dial(Number(options.port)).then(
      (connection) => {
        // Small answers must not wait for the acknowledgement of earlier ones.
        if (connection instanceof Socket) connection.setNoDelay(true);
        callback?.(null, connection);
      },
      (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  }

  /** Only sockets are kept: Node's pool needs timeouts and `unref`, which a tunnelled stream does not have. */
  override keepSocketAlive(socket: Duplex): boolean {
    if (!(socket instanceof Socket)) return false;
    // The declared type says void, but the answer decides whether the socket is kept (Node's documentation of it).
    const keep = super.keepSocketAlive.bind(this) as unknown as (kept: Duplex) => boolean;
    if (!keep(socket)) return false;
    // Nobody asked for it: an answer to no request, or an endless one that would keep the connection from ageing.
    socket.once('data', destroyThis);
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    socket.off('data', destroyThis);
    super.reuseSocket(socket, request);
  }
}

function destroyThis(this: Duplex): void {
  this.destroy();
}
