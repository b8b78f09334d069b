import { EventType } from '@soulbox/contract/filesystem';
import { silenceMs, timeLimit } from './config.ts';
import type { Envd, UserOptions } from './envd.ts';
import { errorFrom, SoulBoxError } from './error.ts';

/** One change in a watched folder. One write often causes several events, as in e2b 2.51.0. */
export interface FileEvent {
  /** The path of what changed, relative to the watched folder. */
  readonly name: string;
  /** What happened. `chmod` is a change of permissions or other attributes. */
  readonly type: 'create' | 'write' | 'remove' | 'rename' | 'chmod';
}

/** The options of a watch. */
export interface WatchOptions extends UserOptions {
  /** Also watch the folders below, including those that are created later. Default: false. */
  readonly recursive?: boolean | undefined;
  /** How long to watch, in milliseconds. 0: until `stop`. Default: 60,000, as in e2b 2.51.0. */
  readonly timeoutMs?: number | undefined;
  /** Called once at the end. With an error, unless `stop` ended the watch. Default: the end is not reported. */
  readonly onExit?: ((error?: SoulBoxError) => void | Promise<void>) | undefined;
}

/** A running watch. `await using` stops it at the end of the block. */
export interface WatchHandle extends AsyncDisposable {
  /** Ends the watch. No further event is reported. Rejects with what `onExit` throws. */
  stop(): Promise<void>;
}

const defaultTimeoutMs = 60_000;

const types: Readonly<Record<EventType, FileEvent['type'] | undefined>> = {
  [EventType.UNSPECIFIED]: undefined,
  [EventType.CREATE]: 'create',
  [EventType.WRITE]: 'write',
  [EventType.REMOVE]: 'remove',
  [EventType.RENAME]: 'rename',
  [EventType.CHMOD]: 'chmod',
};

/** Resolves when changes are being watched. @internal */
export async function watchDir(
  envd: Envd,
  path: string,
  onEvent: (event: FileEvent) => void | Promise<void>,
  { recursive = false, timeoutMs = defaultTimeoutMs, onExit, ...options }: WatchOptions,
): Promise<WatchHandle> {
  const limitMs = timeLimit('timeoutMs', timeoutMs);
  const ending = new AbortController();
  const { headers } = envd.callOptions(options);
  const stream = envd.filesystem.watchDir(
    { path, recursive },
    { headers: { ...headers, 'keepalive-ping-interval': '30' }, signal: ending.signal },
  );
  const events = stream[Symbol.asyncIterator]();
  const limit = envd.signal(options);
  const abort = (): void => ending.abort(limit?.reason);
  if (limit?.aborted === true) abort();
  limit?.addEventListener('abort', abort);
  try {
    const first = await events.next();
    if (first.done === true) throw new Error('The watch ended before it began.');
  } catch (error) {
    ending.abort();
    throw errorFrom(error);
  } finally {
    limit?.removeEventListener('abort', abort);
  }
  const state = { isStopped: false, isSilent: false };
  const timer = limitMs === undefined ? undefined : setTimeout(() => ending.abort(), limitMs);
  const watching = (async () => {
    for (;;) {
      // envd shows every 30 s that it is there.
      const late = setTimeout(() => {
        state.isSilent = true;
        ending.abort();
      }, silenceMs);
      const next = await events.next().finally(() => clearTimeout(late));
      if (next.done === true) return;
      const { event } = next.value;
      if (event.case !== 'filesystem' || state.isStopped) continue;
      const type = types[event.value.type];
      if (type !== undefined) await onEvent({ name: event.value.name, type });
    }
  })();
  const ended = watching
    .then(
      () => new SoulBoxError('The sandbox ended the watch.', { code: 'unavailable', reason: 'stream_ended' }),
      (error: unknown) => (state.isSilent ? silent() : errorFrom(error)),
    )
    .then(async (error) => {
      clearTimeout(timer);
      // Also after an error of onEvent, when the stream is still open.
      ending.abort();
      await onExit?.(...(state.isStopped ? [] : [error]));
    });
  // What onExit throws is for the caller of stop.
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    state.isStopped = true;
    ending.abort();
    await ended;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

function silent(): SoulBoxError {
  return new SoulBoxError(`The connection is dead: nothing has arrived for ${silenceMs} ms.`, {
    ...{ code: 'unavailable', reason: 'unreachable' },
  });
}
