import type { Client } from '@connectrpc/connect';
import type { Clock, Locks, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { RunnerService } from '@soulbox/contract/runner';
import type { Keyring } from '@soulbox/keyring';
import type { BlobStore, Records } from '@soulbox/storage';
import type { FunctionsConfig } from './config.ts';
import type { LogBook } from './log/log-book.ts';
import type { Links } from './links.ts';

/** The dependencies of this room, constructed in `start.ts`. */
export interface FunctionsContext {
  readonly config: FunctionsConfig;
  /** Limit of running sandboxes for a team, including those of functions. */
  readonly teamSandboxLimit: number;
  /** Limit of bytes for the values of a team in all its key-value namespaces. */
  readonly teamKvBytes: number;
  readonly records: Records;
  /** `bundles/<digest>` and `kv/<namespace>/<id>`. */
  readonly blobs: BlobStore;
  readonly runner: Client<typeof RunnerService>;
  readonly router: SandboxRouter;
  /** The program that is uploaded into each sandbox. */
  readonly supervisor: string;
  /** Encrypts variables and secrets of the functions. */
  readonly keyring: Keyring;
  readonly logBook: LogBook;
  readonly links: Links;
  /** Bytes of the values that are being uploaded, by team. */
  readonly arriving: Map<string, number>;
  /** Allows one change or start of a function at a time, by its name. */
  readonly locks: Locks;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal;
}
