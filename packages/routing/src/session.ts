import { randomUUID } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RouteSchema, WatchRoutesResponseSchema } from '@soulbox/contract/routing';

export type FeedMessage = MessageInitShape<typeof WatchRoutesResponseSchema> & { readonly position: bigint };

/** One change of the routes, before it is narrowed to what a watcher asked for. */
export interface RouteChange {
  readonly position: bigint;
  readonly routes: readonly (MessageInitShape<typeof RouteSchema> & { readonly sandboxId: string })[];
  readonly removed: readonly string[];
  readonly gone: readonly string[];
}

export interface SessionOptions {
  /** Where the watcher receives connections that it did not ask for. Undefined: it accepts none. */
  readonly channel: number | undefined;
  /** Whether the watcher asked for the sandbox. Asked only while the sandbox has a route. */
  readonly isWanted: (sandboxId: string) => boolean;
  readonly onEnd: (session: Session) => void;
}

/** Maximum messages that wait for a watcher. A slower watcher starts again with a complete table. */
const waitingMax = 10_000;
/** Maximum sandboxes that a watcher can report visits for. */
const visitsMax = 100_000;

/** One watcher of the routes: the messages sent to it and the sandboxes it may be connected to. */
export interface Session extends Disposable {
  readonly id: string;
  readonly channel: number | undefined;
  /** The position of the newest message to this watcher. */
  readonly position: bigint;
  readonly isWanted: (sandboxId: string) => boolean;
  send(message: FeedMessage): void;
  /** Sends the part of the change that the watcher asked for, if there is any. */
  tell(change: RouteChange): void;
  /** The sent messages, until the session is disposed or too slow. */
  messages(): AsyncGenerator<FeedMessage>;
  /** Records that the watcher may have connections into the sandbox from now on, until the sandbox is gone. */
  holds(sandboxId: string): void;
  /**
   * Resolves when the watcher has confirmed the position. Resolves at once if it has no connections into the sandbox,
   * and when the session ends.
   */
  letGo(sandboxId: string, position: bigint): Promise<void>;
  confirm(position: bigint): void;
  visit(sandboxId: string, enter: (sandboxId: string) => Disposable): void;
  leave(sandboxId: string): void;
}

export function createSession({ channel, isWanted, onEnd }: SessionOptions): Session {
  /** Sandboxes in the watcher's table. A removed one can no longer be asked for its metadata. */
  const told = new Set<string>();
  const waiting: FeedMessage[] = [];
  const held = new Set<string>();
  const visits = new Map<string, Disposable>();
  const confirmations = new Set<{ readonly position: bigint; readonly resolve: () => void }>();
  let wake = (): void => undefined;
  let ended: 'no' | 'closed' | 'slow' = 'no';
  let position = 0n;

  const end = (how: 'closed' | 'slow'): void => {
    if (ended !== 'no') return;
    ended = how;
    for (const { resolve } of confirmations) resolve();
    confirmations.clear();
    for (const visit of visits.values()) visit[Symbol.dispose]();
    visits.clear();
    onEnd(session);
    wake();
  };

  const session: Session = {
    id: randomUUID(),
    channel,
    get position() {
      return position;
    },
    isWanted,
    send(message) {
      if (ended !== 'no') return;
      position = message.position;
      for (const { sandboxId } of message.routes ?? []) if (sandboxId !== undefined) told.add(sandboxId);
      waiting.push(message);
      if (waiting.length > waitingMax) end('slow');
      wake();
    },
    tell(change) {
      const routes = change.routes.filter(({ sandboxId }) => isWanted(sandboxId));
      const removed = change.removed.filter((sandboxId) => told.delete(sandboxId));
      const gone = change.gone.filter((sandboxId) => told.has(sandboxId) || held.has(sandboxId));
      if (routes.length + removed.length + gone.length === 0) return;
      session.send({ position: change.position, routes, removed, gone });
    },
    async *messages() {
      for (;;) {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next;
        if (ended === 'slow') throw new SoulBoxError('limit_exceeded', 'The watcher of the routes is too slow.');
        if (ended === 'closed') return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    holds: (sandboxId) => void held.add(sandboxId),
    async letGo(sandboxId, position) {
      if (!held.delete(sandboxId) || ended !== 'no') return;
      await new Promise<void>((resolve) => confirmations.add({ position, resolve }));
    },
    confirm(position) {
      for (const confirmation of confirmations) {
        if (confirmation.position > position) continue;
        confirmations.delete(confirmation);
        confirmation.resolve();
      }
    },
    visit(sandboxId, enter) {
      if (visits.has(sandboxId) || visits.size >= visitsMax || ended !== 'no') return;
      visits.set(sandboxId, enter(sandboxId));
    },
    leave(sandboxId) {
      visits.get(sandboxId)?.[Symbol.dispose]();
      visits.delete(sandboxId);
    },
    [Symbol.dispose]: () => end('closed'),
  };
  return session;
}
