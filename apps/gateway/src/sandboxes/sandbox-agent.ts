import { Agent } from 'node:http';
import type { AgentOptions, ClientRequest, ClientRequestArgs } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Opens a connection to a port of the sandbox the agent belongs to. */
export type Dial = (port: number) => Promise<Duplex>;

/** Node's agent over dialed connections, pooled by port alone: one agent serves one sandbox. */
export class SandboxAgent extends Agent {
  readonly #dial: Dial;
  readonly #idleTimeoutMs: number;
  /** Connections that no request has asked for yet, one for each port at most. */
  readonly #ahead = new Map<number, Ahead>();

  constructor(dial: Dial, options: AgentOptions) {
    super(options);
    this.#dial = dial;
    this.#idleTimeoutMs = options.timeout ?? 0;
  }

  /** Opens the connection that the next request to the port will use. One that nobody uses goes as an unused one of the pool does. */
  openAhead(port: number): void {
    if (this.#ahead.has(port) || this.#idleTimeoutMs === 0) return;
    const ahead: Ahead = { opening: this.#dial(port), timer: undefined };
    this.#ahead.set(port, ahead);
    const drop = (): void => {
      if (this.#ahead.get(port) === ahead) this.#ahead.delete(port);
    };
    ahead.opening.then((connection) => {
      // Errors of a connection that waits are no request's.
      connection.on('error', () => undefined);
      connection.once('close', drop);
      if (this.#ahead.get(port) === ahead)
        ahead.timer = setTimeout(() => connection.destroy(), this.#idleTimeoutMs).unref();
    }, drop);
  }

  /** What was opened ahead and has not closed since; otherwise a connection that is opened now. */
  async #open(port: number): Promise<Duplex> {
    const ahead = this.#ahead.get(port);
    this.#ahead.delete(port);
    const opened = await ahead?.opening.catch(() => undefined);
    clearTimeout(ahead?.timer);
    return opened === undefined || opened.destroyed || opened.readableEnded ? await this.#dial(port) : opened;
  }

  override getName(options: { port?: number | string | null | undefined } = {}): string {
    return String(options.port);
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, connection: Duplex) => void,
  ): undefined {
    this.#open(Number(options.port)).then(
      (connection) => {
        // Small answers must not wait for the acknowledgement of earlier ones.
        if (connection instanceof Socket) connection.setNoDelay(true);
        callback?.(null, connection);
      },
      (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  }

  override destroy(): void {
    for (const { opening, timer } of this.#ahead.values()) {
      clearTimeout(timer);
      opening.then(
        (connection) => connection.destroy(),
        () => undefined,
      );
    }
    this.#ahead.clear();
    super.destroy();
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

interface Ahead {
  readonly opening: Promise<Duplex>;
  timer: NodeJS.Timeout | undefined;
}

function destroyThis(this: Duplex): void {
  this.destroy();
}
