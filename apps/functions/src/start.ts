import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import { createLocks, sleep, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { FunctionRouter, FunctionService } from '@soulbox/contract/function-service';
import { functionMetadataKey } from '@soulbox/contract/functions';
import type { RunnerService, Sandbox } from '@soulbox/contract/runner';
import type { BlobStore, Records } from '@soulbox/storage';
import type { FunctionsConfig } from './config.ts';
import type { FunctionsContext } from './context.ts';
import { dropBundles, listBundles } from './definitions/bundles.ts';
import { createLinks } from './links.ts';
import { createLogBook } from './log/log-book.ts';
import { createServingSandboxes } from './sandboxes/serving.ts';
import { killSandbox } from './sandboxes/start-sandbox.ts';
import { createFunctionService } from './service.ts';
import type { Vault } from './vault.ts';

export interface FunctionsOptions {
  readonly config: FunctionsConfig;
  readonly teamSandboxLimit: number;
  readonly teamKvBytes: number;
  /** Stay the caller's. */
  readonly records: Records;
  readonly blobs: BlobStore;
  readonly runner: Client<typeof RunnerService>;
  readonly router: SandboxRouter;
  readonly supervisor: string;
  readonly vault: Vault;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface Functions extends AsyncDisposable {
  readonly service: FunctionService;
  readonly router: FunctionRouter;
}

const sweepEveryMs = 60_000;
const sweepBatch = 500;
/** A deployment is over, one way or the other, long before. */
const strayMs = 10 * 60_000;

/**
 * Removes blobs that a crash left between two steps, then serves; sandboxes that it left end as soon as the runner is there. Nothing is
 * started before it is asked for.
 */
export async function startFunctions(options: FunctionsOptions): Promise<Functions> {
  const { router, logger, clock = systemClock } = options;
  const stop = new AbortController();
  const serving = createServingSandboxes(() => context);
  const context: FunctionsContext = {
    ...options,
    clock,
    logBook: createLogBook(),
    links: createLinks(router, logger, (sandboxId) => serving.suspect(sandboxId)),
    locks: createLocks(),
    arriving: new Map(),
    stopping: stop.signal,
  };
  await dropStrayBlobs(context);
  const stopListening = router.onGone((sandboxId) => context.links.close(sandboxId));
  const sweeping = sweepUntilStop(context);
  return {
    service: createFunctionService(context, serving),
    router: serving,
    async [Symbol.asyncDispose]() {
      stop.abort();
      stopListening();
      context.links.closeAll();
      await sweeping;
    },
  };
}

/** Gives the sandboxes that were made for functions and are no function's: whoever made them was killed before they became one's. */
async function findStrays({ runner, records }: FunctionsContext): Promise<Sandbox[]> {
  const { sandboxes } = await runner.listSandboxes({});
  // After the list: what became a function's meanwhile is among them.
  const own = new Set(await records.functions.listSandboxIds());
  return sandboxes.filter(
    ({ sandboxId, metadata }) => metadata[functionMetadataKey] !== undefined && !own.has(sandboxId),
  );
}

/**
 * Ends strays: at first those of before this process began, then those that were strays `strayMs` ago too. A younger one may be about to
 * become a function's, or serve its last requests for one.
 */
function createStraySweep(context: FunctionsContext): () => Promise<void> {
  const { clock, logger } = context;
  const startedAt = clock.now();
  let known: ReadonlyMap<string, number> | undefined;
  return async () => {
    const now = clock.now();
    const before = known;
    const strays = await findStrays(context);
    const since = (sandboxId: string): number => before?.get(sandboxId) ?? now;
    known = new Map(strays.map(({ sandboxId }) => [sandboxId, since(sandboxId)]));
    for (const { sandboxId, startedAt: madeAt } of strays) {
      const isOld = before === undefined && madeAt !== undefined && timestampMs(madeAt) < startedAt;
      if (!isOld && now - since(sandboxId) < strayMs) continue;
      logger.info({ sandboxId }, 'sandbox no longer belongs to a function');
      await killSandbox(context, sandboxId);
    }
  };
}

/** Nothing is written yet: what no row names now is nobody's. */
async function dropStrayBlobs({ records, blobs, logger }: FunctionsContext): Promise<void> {
  const bundles = await records.functions.findUnused(await listBundles(blobs));
  const values = await records.kv.findUnused((await blobs.list('kv/')).map(({ key }) => key));
  await dropBundles(blobs, bundles);
  for (const key of values) await blobs.delete(key);
  const dropped = bundles.length + values.length;
  if (dropped > 0) logger.info({ dropped }, 'unreferenced function blobs removed');
}

/** Values that have expired are gone for readers at once; here they leave the disk. Sandboxes that no function has end. */
async function sweepUntilStop(context: FunctionsContext): Promise<void> {
  const { records, blobs, clock, logger, stopping } = context;
  const stopped = (): boolean => stopping.aborted;
  const endStrays = createStraySweep(context);
  while (!stopped()) {
    try {
      await endStrays();
    } catch (err) {
      logger.debug({ err }, 'search for unreferenced function sandboxes failed');
    }
    try {
      for (const blobKey of await records.kv.removeExpired(clock.now(), sweepBatch)) await blobs.delete(blobKey);
    } catch (err) {
      logger.warn({ err }, 'expired values could not be removed');
    }
    await sleep(sweepEveryMs, stopping).catch(() => undefined);
  }
}
