import type { Negotiated } from '../wire/init.ts';

/** What a server gets for each mount. Descriptors are inherited from `firstFd` on. */
export interface ServedMount {
  readonly fd: number;
  readonly mountPoint: string;
  readonly negotiated: Negotiated;
  readonly isTakeover: boolean;
}

/** Descriptors 0 to 2 are those of every process, 3 is the channel of messages. */
export const firstFd = 4;

export interface ServeMessage {
  readonly type: 'serve';
  readonly mounts: readonly ServedMount[];
}

/** The mounts end, wherever they are. */
export interface AbandonMessage {
  readonly type: 'abandon';
}

/** `ready`: it can be told to serve. `closed`: the mount with this descriptor is gone. */
export type ServerMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'serving' }
  | { readonly type: 'closed'; readonly fd: number };
