import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Secret } from '@soulbox/base';
import type { SignedFileRequest } from './file-signature.ts';

/** The facts about a running or paused sandbox that the gateway needs before it lets a request in. */
export interface SandboxRoute {
  readonly sandboxId: string;
  /** Set if public traffic is not allowed: every port except envd's requires it. */
  readonly trafficAccessToken: Secret | undefined;
  /**
   * Set if envd requires an access token. To wake the sandbox, a request for envd's port must present the token or a
   * signature made with it.
   */
  readonly envdAccessToken: Secret | undefined;
  /** The Host header for ports other than envd's. `${PORT}` stands for the port. */
  readonly maskRequestHost: string | undefined;
  /** Ports whose services speak TLS. */
  readonly httpsPorts: readonly number[];
  /** A `paused` sandbox must be woken before it can be dialled. */
  readonly state: 'running' | 'paused';
  /** Whether a request may wake the sandbox. */
  readonly autoResume: boolean;
  /** The sandbox is `paused`, but an operation in progress lets it run again in a moment, without a wake. */
  readonly comesBack: boolean;
  /** The sandbox is `running` but frozen until there is space on the host's disk: nothing in it would answer. */
  readonly waitsForRoom: boolean;
  /** The sandbox has an idle timeout, which counts from the end of its last request. */
  readonly countsVisits: boolean;
}

/**
 * Gives the gateway and functions access to sandboxes. The runner implements it. Other processes have a table that the
 * runner feeds (packages/routing), behind the same methods.
 */
export interface SandboxRouter {
  /** Returns the sandbox if it is running or paused and belongs to a tenant. A spare is not found. */
  find(sandboxId: string): SandboxRoute | undefined;
  /**
   * Returns the sandbox whose access token made this signature, because a signed URL on a shared host names no sandbox.
   */
  findBySignature(request: SignedFileRequest, signature: string): SandboxRoute | undefined;
  /** The number of tokens that `findBySignature` tries. */
  signatureTokens(): number;
  /** Returns the sandbox that has this access token. The cost does not depend on the number of sandboxes. */
  findByAccessToken(token: string): SandboxRoute | undefined;
  /**
   * Opens a connection to a port inside the sandbox, even if it is bound to 127.0.0.1 or [::1] only. Throws
   * `port_closed`, or `sandbox_not_found` if the sandbox ended meanwhile.
   */
  dial(sandboxId: string, port: number): Promise<Duplex>;
  /**
   * Resumes a paused sandbox for a request, and resolves when it can be dialled. Concurrent calls share one resume; for
   * a running sandbox it resolves at once. Throws `sandbox_not_found`, or the error that prevented the resume.
   */
  wake(sandboxId: string): Promise<void>;
  /** Resolves when the current operation on the sandbox is over, if there is one. */
  settled(sandboxId: string): Promise<void>;
  /** Records that a request or stream is open, until disposed. An idle timeout counts from the end of the last one. */
  enter(sandboxId: string): Disposable;
  /**
   * The listener is called as soon as a sandbox is no longer served (it ends or is paused), before its processes are
   * killed. The kill waits a moment for the promise that a listener returns. Returns a function that unsubscribes.
   */
  onGone(listener: (sandboxId: string) => unknown): () => void;
  /**
   * The listener is called with a connection that was opened in advance, because its sandbox will be served in a
   * moment. This happens only where a dial costs a call to another process; without a listener no connections are
   * opened. Returns a function that unsubscribes.
   */
  onOpened(listener: (sandboxId: string, port: number, connection: Socket) => void): () => void;
  /**
   * Resolves when the routes are at least as new as this call. Throws `runner_unavailable` if the runner cannot be
   * reached.
   */
  refresh(): Promise<void>;
}
