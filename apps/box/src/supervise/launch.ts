import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { compileCacheFolder } from '@soulbox/host/installation';
import { channelFd } from '@soulbox/process';
import { nodeFlags, nodeVariables } from '@soulbox/process/node-flags';

const launcher = fileURLToPath(import.meta.resolve('@soulbox/process/launch'));

/** A part of the server that runs as a process of its own. */
export interface PartPlan {
  /** Its name in the log. */
  readonly name: string;
  /**
   * The names that its log lines may have as `part`. Absent: any name, for a part that is trusted as much as the
   * supervisor.
   */
  readonly logNames?: readonly string[];
  /** File of the program. */
  readonly program: string;
  /** Its own namespaces, as options of unshare(1). With them it also has no io_uring. */
  readonly namespaces?: readonly string[];
  /** Open descriptors that it inherits. In the process their numbers start at `firstDescriptor`. */
  readonly descriptors: readonly number[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Number of the first of `PartPlan.descriptors`, after the standard streams and the channel. */
export const firstDescriptor = channelFd + 1;

export interface PartExit {
  /** Both are null if they are not known. */
  readonly code: number | null;
  readonly signal: string | null;
}

/** The process of a part. */
export interface LaunchedPart {
  readonly pid: number;
  /** The other end is at `channelFd` of the process. */
  readonly channel: Duplex;
  /** Never rejects. */
  readonly exited: Promise<PartExit>;
  /** Present if systemd has started the process. */
  readonly unit?: { readonly notifyDescriptor: number };
  /** Sends SIGKILL. */
  kill(): void;
}

/** Starts the process of a part. */
export type LaunchPart = (plan: PartPlan) => Promise<LaunchedPart>;

/** The command line of a part. `descriptors`: how many it inherits after the standard streams. */
export function argvOf({ namespaces = [], program }: PartPlan, descriptors: number): [file: string, ...rest: string[]] {
  const node = [process.execPath, ...nodeFlags] as const;
  return namespaces.length > 0
    ? ['unshare', ...namespaces, '--', ...node, launcher, String(descriptors), program]
    : [...node, program];
}

export function environmentOf({ environment }: PartPlan): Record<string, string> {
  return { ...environment, ...nodeVariables, NODE_COMPILE_CACHE: compileCacheFolder() };
}
