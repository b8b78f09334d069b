import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Secret } from '@soulbox/base';
import type { SignedFileRequest } from './file-signature.ts';

/** What the gateway must know of a running sandbox before it lets a request in. */
export interface SandboxRoute {
  readonly sandboxId: string;
  /** Set when public traffic is not allowed: every port but envd's demands it. */
  readonly trafficAccessToken: Secret | undefined;
  /** Set when envd demands one. A request for envd's port must show it, or a signature made with it, to wake the sandbox. */
  readonly envdAccessToken: Secret | undefined;
  /** Host header for ports other than envd's; `${PORT}` stands for the port. */
  readonly maskRequestHost: string | undefined;
  /** `paused`: it has to be woken before it can be dialled. */
  readonly state: 'running' | 'paused';
  /** Whether a request may wake it. */
  readonly autoResume: boolean;
  /** `paused`, and a step under way lets it run again in a moment, without being woken. */
  readonly comesBack: boolean;
  /** It runs, and stands still until there is room on the host's disk: nothing in it would answer. */
  readonly waitsForRoom: boolean;
  /** It has an idle timeout, which counts from the end of its last request. */
  readonly countsVisits: boolean;
}

/**
 * The way to sandboxes of the gateway and of functions. The runner implements it; other processes have a table that the runner feeds
 * (packages/routing) behind the same methods.
 */
export interface SandboxRouter {
  /** The sandbox if it runs or is paused, and belongs to a tenant (a warm spare is not found). */
  find(sandboxId: string): SandboxRoute | undefined;
  /** The sandbox whose access token made this signature: a signed URL on a shared host names no sandbox. */
  findBySignature(request: SignedFileRequest, signature: string): SandboxRoute | undefined;
  /** How many tokens that tries. */
  signatureTokens(): number;
  /** The sandbox whose access token this is, at the same cost for any number of sandboxes. */
  findByAccessToken(token: string): SandboxRoute | undefined;
  /**
   * Opens a connection to a port inside the sandbox, also one that is bound to 127.0.0.1 or [::1] only.
   * Throws `port_closed`, or `sandbox_not_found` when the sandbox ended meanwhile.
   */
  dial(sandboxId: string, port: number): Promise<Duplex>;
  /**
   * Resumes a paused sandbox for a request; resolves when it can be dialled. Calls at the same time share one resume, and a
   * running sandbox resolves at once. Throws `sandbox_not_found`, or why it could not be resumed.
   */
  wake(sandboxId: string): Promise<void>;
  /** Resolves when the step is over that is under way on the sandbox, if there is one. */
  settled(sandboxId: string): Promise<void>;
  /** Tells that a request or stream is open, until it is disposed: an idle timeout counts from the last one's end. */
  enter(sandboxId: string): Disposable;
  /**
   * Called as soon as a sandbox stops being served (it ends or is paused), before its processes are killed, which waits a moment for
   * what a listener gives. Gives the unsubscribe.
   */
  onGone(listener: (sandboxId: string) => unknown): () => void;
  /**
   * Called with a connection that was opened ahead, because its sandbox is about to be served. Only where a dial costs a call to another
   * process; without a listener none are opened. Gives the unsubscribe.
   */
  onOpened(listener: (sandboxId: string, port: number, connection: Socket) => void): () => void;
  /** Resolves when what is found is at least as new as this call. Throws `runner_unavailable` when nobody can tell. */
  refresh(): Promise<void>;
}
