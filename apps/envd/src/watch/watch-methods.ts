import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { CreateWatcherRequest, Filesystem, WatchDirRequest } from '@soulbox/contract/filesystem';
import { locate } from '../filesystem/locate.ts';
import { keepaliveIntervalMs, withKeepalive } from '../server/keepalive.ts';
import type { CallerContext } from '../users/caller.ts';
import type { WatchHub } from './watch-hub.ts';
import type { EventInit, Watcher } from './watcher.ts';
import { openWatcher } from './watcher.ts';
import type { WatcherTable } from './watcher-table.ts';

interface WatchContext extends CallerContext {
  readonly watchHub: WatchHub;
  readonly watchers: WatcherTable;
}

type WatchMethod = 'watchDir' | 'createWatcher' | 'getWatcherEvents' | 'removeWatcher';

const keepalive = { event: { case: 'keepalive', value: {} } } as const;

/** The watch methods of filesystem.Filesystem. */
export function watchMethods(context: WatchContext): Pick<ServiceImpl<typeof Filesystem>, WatchMethod> {
  const { watchers } = context;
  const open = async (request: WatchDirRequest | CreateWatcherRequest, call: HandlerContext): Promise<Watcher> => {
    const { path } = locate(context, call, request.path);
    return await watchers.open(async () => await openWatcher(context.watchHub, context.users, path, request));
  };
  return {
    async *watchDir(request, call) {
      const watcher = await open(request, call);
      try {
        yield { event: { case: 'start', value: {} } };
        const messages = streamEvents(watcher, call.signal);
        yield* withKeepalive<StreamMessage>(messages, keepaliveIntervalMs(call.requestHeader), keepalive);
      } finally {
        watchers.close(watcher);
      }
    },

    async createWatcher(request, call) {
      return { watcherId: watchers.publish(await open(request, call)) };
    },

    getWatcherEvents: ({ watcherId }) => ({ events: watchers.get(watcherId).queue.drain() }),

    removeWatcher({ watcherId }) {
      watchers.remove(watcherId);
      return {};
    },
  };
}

type StreamMessage =
  | { readonly event: { readonly case: 'filesystem'; readonly value: EventInit } }
  | { readonly event: { readonly case: 'keepalive'; readonly value: object } };

async function* streamEvents({ queue }: Watcher, signal: AbortSignal): AsyncGenerator<StreamMessage> {
  while (!signal.aborted) {
    for (const value of queue.drain()) yield { event: { case: 'filesystem', value } };
    await queue.wait(signal);
  }
}
