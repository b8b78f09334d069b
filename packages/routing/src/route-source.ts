import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';

/** What the runner must provide so that other processes can have a table of its routes. */
export interface RouteSource extends SandboxRouter {
  routes(): SandboxRoute[];
  /**
   * The listener is called after any event that may have changed the route of a sandbox, in the same turn of the event
   * loop.
   */
  onChange(listener: (sandboxId: string) => void): () => void;
  /** Whether the sandbox has no route yet, but will have one in a moment and can already be dialled. */
  isExpected(sandboxId: string): boolean;
  /** Whether a sandbox that has a route has this key in its metadata. */
  hasMetadata(sandboxId: string, key: string): boolean;
}
