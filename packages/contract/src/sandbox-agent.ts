import { Agent } from 'node:http';
import type { AgentOptions, ClientRequest, ClientRequestArgs } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Events that make a waiting connection useless. */
const endings = ['error', 'end'] as const;

/** Opens a connection to a port inside one sandbox. */
export type Dial<Connection extends Duplex = Duplex> = (port: number) => Promise<Connection>;

/**
 * Node's agent over dialed connections. The pool is keyed by port only, because one agent serves one sandbox.
 * `keepAlive`: whether connections wait for further requests. A waiting connection prevents a checkpoint of the sandbox,
 * so only a caller that is told of a pause may keep some. `timeout`: how long they wait.
 */
export class SandboxAgent extends Agent {
  readonly #dial: Dial;
  readonly #idleTimeoutMs: number;
  /** Connections that were opened before any request, at most one per port. */
  readonly #ahead = new Map<number, Socket>();

  constructor(dial: Dial, options: AgentOptions) {
    super(options);
    this.#dial = dial;
    this.#idleTimeoutMs = options.timeout ?? 0;
  }

  /**
   * Keeps an open connection for the next request that would open one to this port. If it stays unused, it closes after
   * the pool's idle time.
   */
  keepAhead(port: number, connection: Socket): void {
    // A waiting connection belongs to no request, so an error only closes it.
    for (const event of endings) connection.on(event, destroyThis);
    if (this.#ahead.has(port) || this.#idleTimeoutMs === 0) {
      connection.destroy();
      return;
    }
    this.#ahead.set(port, connection);
    connection.once('close', () => {
      if (this.#ahead.get(port) === connection) this.#ahead.delete(port);
    });
    connection.setTimeout(this.#idleTimeoutMs, destroyThis);
  }

  async #open(port: number): Promise<Duplex> {
    const ahead = this.#ahead.get(port);
    if (ahead === undefined || ahead.destroyed) return await this.#dial(port);
    this.#ahead.delete(port);
    ahead.setTimeout(0, destroyThis);
    for (const event of endings) ahead.off(event, destroyThis);
    return ahead;
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

  /** Requests in progress fail with the error. */
  override destroy(error?: Error): void {
    for (const connection of [...this.#ahead.values()]) connection.destroy();
    for (const used of Object.values(this.sockets)) for (const connection of used ?? []) connection.destroy(error);
    super.destroy();
  }

  /** Only sockets are kept, because Node's pool needs timeouts and `unref`, which a tunnelled stream does not have. */
  override keepSocketAlive(socket: Duplex): boolean {
    if (!(socket instanceof Socket)) return false;
    // The declared type is void, but the return value decides whether the socket is kept (Node's documentation of the
    // method).
    const keep = super.keepSocketAlive.bind(this) as unknown as (kept: Duplex) => boolean;
    if (!keep(socket)) return false;
    // Nobody requested this data: it answers no request, or it is endless and would keep the connection from ageing.
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
