import { FuseError, type Awaitable, type FuseContext, type FuseFs } from '../fuse-fs.ts';
import type { Message } from '../wire/message.ts';

/** A reply with room for its header, or one that only consists of data, which are not copied into one piece. */
export type Reply = Buffer | { readonly pieces: readonly Uint8Array[] };

export interface Call {
  readonly fs: FuseFs;
  readonly message: Message;
  readonly context: FuseContext;
}

export interface Operation {
  /** Decodes the argument, calls the file system and encodes the result. Throws a `FuseError`. */
  readonly run: (call: Call) => Awaitable<Reply>;
  /** Its reply begins with an entry, which counts as a look-up. */
  readonly countsEntry?: true;
  /** Its reply is a list of READDIRPLUS. */
  readonly countsList?: true;
  /** It may wait for another caller, so it must not take a place of those who do not. */
  readonly waits?: true;
}

/** `next` of a value or of a promise of it, without a turn of the loop for a value. */
export function then<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The method, or ENOSYS for the kernel's default. */
export function methodOf<M>(method: M | undefined): M {
  if (method === undefined) throw new FuseError('ENOSYS');
  return method;
}
