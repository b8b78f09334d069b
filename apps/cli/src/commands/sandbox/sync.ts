import { stat, watch } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { reachSandbox } from '../../api/reach-sandbox.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { apiDataDirArg, fileUserArg, jsonArg, quietArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { parseSandboxPlace } from '../../copy/place.ts';
import { sync } from '../../copy/sync.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { createMeter } from '../../output/meter.ts';

/** Changes come in groups. */
const quietMs = 200;
/** For changes that never end. */
const maxWaitMs = 5000;

export const syncFolder = defineCommand({
  meta: {
    name: 'sync',
    description:
      'Copy what has changed in a folder of this host into a folder of a sandbox: what differs in kind, mode, size or time',
  },
  args: {
    dir: { type: 'positional', required: true, description: 'A folder of this host' },
    folder: { type: 'positional', required: true, description: 'ID:PATH; it is created if it is missing' },
    delete: { type: 'boolean', description: 'Remove what is not in DIR; what is ignored stays' },
    all: { type: 'boolean', description: 'Also what .gitignore files name, and .git' },
    watch: { type: 'boolean', description: 'Go on with each change, until Ctrl-C' },
    user: fileUserArg,
    quiet: quietArg,
    'data-dir': apiDataDirArg,
    json: { ...jsonArg, description: 'Print how much was sent, deleted and unchanged as JSON' },
  },
  async run({ args }) {
    const { sandboxId, path } = parseSandboxPlace(args.folder);
    const found = await stat(args.dir).catch(() => undefined);
    if (found?.isDirectory() !== true) throw new UsageError(`${args.dir} is not a folder.`);
    const signal = abortOnSignal();
    const sandbox = await reachSandbox(await findApi(args['data-dir']), sandboxId);

    async function once(): Promise<void> {
      using meter = createMeter('sync', { quiet: args.quiet });
      let bytes = 0;
      const onSent = (more: number): void => meter.show((bytes += more));
      const options = { source: args.dir, path, user: args.user, signal, onSent };
      const synced = await sync(sandbox, { ...options, isDeleting: args.delete === true, isGit: args.all !== true });
      meter[Symbol.dispose]();
      if (args.json === true) console.log(JSON.stringify(synced));
      else if (args.quiet !== true && synced.sent + synced.deleted > 0)
        console.log(`${synced.sent} sent, ${synced.deleted} deleted, ${synced.unchanged} unchanged.`);
    }

    try {
      // Watched first, so that no change is between the copy and the watch.
      const changes = args.watch === true ? watchFolder(args.dir, signal) : undefined;
      await once();
      if (changes === undefined) return exitCodes.ok;
      for (;;) {
        await changes.next();
        await once();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      return exitCodes.interrupted;
    }
  },
});

/** Waits for changes since the last call, and then until none has come for a moment. */
function watchFolder(folder: string, signal: AbortSignal): { next(): Promise<void> } {
  let changedAt = 0;
  let wake = Promise.withResolvers<undefined>();
  void (async () => {
    try {
      for await (const _ of watch(folder, { recursive: true, signal })) {
        changedAt = Date.now();
        wake.resolve(undefined);
      }
    } catch (error) {
      wake.reject(error);
    }
  })();
  wake.promise.catch(() => undefined);
  return {
    async next() {
      await wake.promise;
      const until = Date.now() + maxWaitMs;
      while (Date.now() - changedAt < quietMs && Date.now() < until) await sleep(quietMs, undefined, { signal });
      wake = Promise.withResolvers<undefined>();
      wake.promise.catch(() => undefined);
    },
  };
}
