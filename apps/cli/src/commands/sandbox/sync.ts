import { stat, watch } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { printable } from '@soulbox/envd-client/printable';
import { ApiError } from '../../api/api-error.ts';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, fileUserArg, jsonArg, quietArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { parseSandboxPlace, parseSourceName } from '../../copy/place.ts';
import { sync } from '../../copy/sync.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { createMeter } from '../../output/meter.ts';

/** Changes come in groups. */
const quietMs = 200;
/** For changes that never end. */
const maxWaitMs = 5000;
/** After a copy that has failed, also without a change. */
const retryMs = 5000;

export const syncFolder = defineCommand({
  meta: {
    name: 'sync',
    description:
      'Copy what has changed in a folder of this host into a folder of a sandbox: what differs in kind, mode, size or time',
    examples: ['soulbox sandbox sync . ID:app', 'soulbox sandbox sync . ID:app --delete --watch'],
  },
  args: {
    dir: { type: 'positional', required: true, description: 'A folder of this host' },
    folder: { type: 'positional', required: true, description: 'ID:PATH; it is created if it is missing' },
    delete: { type: 'boolean', description: 'Remove what is not in DIR; what is ignored stays' },
    all: { type: 'boolean', description: 'Also what .gitignore files name, and .git' },
    checksum: {
      type: 'boolean',
      description: 'Compare files of the same size by SHA-256 instead of their times; reads them on both sides',
    },
    watch: { type: 'boolean', description: 'Go on with each change, until Ctrl-C' },
    user: fileUserArg,
    quiet: quietArg,
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print how much was sent, deleted, unchanged and vanished as JSON' },
  },
  async run({ args }) {
    const { sandboxId, path: named } = parseSandboxPlace(args.folder);
    const { path } = parseSourceName(named);
    const found = await stat(args.dir).catch(() => undefined);
    if (found?.isDirectory() !== true) throw new UsageError(`${args.dir} is not a folder.`);
    const signal = abortOnSignal();
    const api = await findApi(args['data-dir']);
    const sandbox = await reachSandbox(api, sandboxId);

    async function once(): Promise<void> {
      using meter = createMeter('sync', { quiet: args.quiet });
      let bytes = 0;
      const onSent = (more: number): void => meter.show((bytes += more));
      const isByContents = args.checksum === true;
      const options = { source: args.dir, path, user: args.user, signal, onSent, isByContents };
      const synced = await sync(sandbox, { ...options, isDeleting: args.delete === true, isGit: args.all !== true });
      meter[Symbol.dispose]();
      if (synced.vanished > 0) console.error(`${synced.vanished} vanished meanwhile.`);
      if (args.json === true) console.log(JSON.stringify(synced));
      else if (args.quiet !== true && synced.sent + synced.deleted > 0)
        console.log(`${synced.sent} sent, ${synced.deleted} deleted, ${synced.unchanged} unchanged.`);
    }

    try {
      // Watched first, so that no change is between the copy and the watch.
      const changes = args.watch === true ? watchFolder(args.dir, signal) : undefined;
      await once();
      if (changes === undefined) return exitCodes.ok;
      let told = '';
      for (;;) {
        await changes.next(told === '' ? undefined : retryMs);
        try {
          await once();
          told = '';
        } catch (error) {
          // Such as a file that has vanished meanwhile.
          if (signal.aborted || !(error instanceof SoulBoxError) || (await hasEnded(api, sandboxId))) throw error;
          if (error.message !== told) console.error(`error: ${printable(error.message)} (${error.reason})`);
          told = error.message;
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      return exitCodes.interrupted;
    }
  },
});

/** False also if the server does not answer. */
async function hasEnded(api: ApiConnection, sandboxId: string): Promise<boolean> {
  const path = `/sandboxes/${encodeURIComponent(sandboxId)}`;
  const state = await callApi(api, { path, isMadeOnce: true }).catch((error: unknown) => error);
  return state instanceof ApiError && state.status === 404;
}

/** Waits for changes since the last call, at most for some time, and then until none has come for a moment. */
function watchFolder(folder: string, signal: AbortSignal): { next(withinMs?: number): Promise<void> } {
  let changedAt = 0;
  let end: { readonly error: unknown } | undefined;
  let wake = Promise.withResolvers<undefined>();
  void (async () => {
    try {
      for await (const _ of watch(folder, { recursive: true, signal })) {
        changedAt = Date.now();
        wake.resolve(undefined);
      }
    } catch (error) {
      end = { error };
      wake.reject(error);
    }
  })();
  wake.promise.catch(() => undefined);
  return {
    async next(withinMs) {
      if (end !== undefined) throw end.error;
      const waits = withinMs === undefined ? [] : [sleep(withinMs, undefined, { signal })];
      await Promise.race([wake.promise, ...waits]);
      const until = Date.now() + maxWaitMs;
      while (Date.now() - changedAt < quietMs && Date.now() < until) await sleep(quietMs, undefined, { signal });
      wake = Promise.withResolvers<undefined>();
      wake.promise.catch(() => undefined);
    },
  };
}
