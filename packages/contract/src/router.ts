import type { Duplex } from 'node:stream';
import type { Secret } from '@soulbox/base';
import type { SignedFileRequest } from './file-signature.ts';

/** What the gateway must know of a running sandbox before it lets a request in. */
export interface SandboxRoute {
  readonly sandboxId: string;
  /** Set when public traffic is not allowed: every port but envd's demands it. */
  readonly trafficAccessToken: Secret | undefined;
  /** Host header for ports other than envd's; `${PORT}` stands for the port. */
  readonly maskRequestHost: string | undefined;
}

/**
 * The gateway's way to sandboxes. The runner implements it; on one machine it is handed over in memory, and a
 * runner on another machine can be put behind the same five methods.
 */
export interface SandboxRouter {
  /** The sandbox if it runs and belongs to a tenant (a warm spare is not found). */
  find(sandboxId: string): SandboxRoute | undefined;
  /** The sandbox whose access token made this signature: a signed URL on a shared host names no sandbox. */
  findBySignature(request: SignedFileRequest, signature: string): SandboxRoute | undefined;
  /**
   * Opens a connection to a port inside the sandbox, also one that is bound to 127.0.0.1 or [::1] only.
   * Throws `port_closed`, or `sandbox_not_found` when the sandbox ended meanwhile.
   */
  dial(sandboxId: string, port: number): Promise<Duplex>;
  /** Called as soon as a sandbox stops being served, before its processes are killed. Gives the unsubscribe. */
  onGone(listener: (sandboxId: string) => void): () => void;
}
