import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import { createLocks, sleepUnlessAborted, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { FunctionRouter, FunctionService } from '@soulbox/contract/function-service';
import { functionMetadataKey } from '@soulbox/contract/functions';
import type { RunnerService, Sandbox } from '@soulbox/contract/runner';
import type { Keyring } from '@soulbox/keyring';
import type { BlobStore, Records } from '@soulbox/storage';
import type { FunctionsConfig } from './config.ts';
import type { FunctionsContext } from './context.ts';
import { dropBundles, listBundles } from './definitions/bundles.ts';
import { createLinks } from './links.ts';
import { createLogBook } from './log/log-book.ts';
import { createServingSandboxes } from './sandboxes/serving.ts';
import { killSandbox } from './sandboxes/start-sandbox.ts';
import { createFunctionService } from './service.ts';

export interface FunctionsOptions {
  readonly config: FunctionsConfig;
  readonly teamSandboxLimit: number;
  readonly teamKvBytes: number;
  /** Owned by the caller, like those below. */
  readonly records: Records;
  readonly blobs: BlobStore;
  readonly runner: Client<typeof RunnerService>;
  readonly router: SandboxRouter;
  readonly supervisor: string;
  readonly keyring: Keyring;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface Functions extends AsyncDisposable {
  readonly service: FunctionService;
  readonly router: FunctionRouter;
}

const sweepEveryMs = 60_000;
const sweepBatch = 500;
/** Every deployment has ended long before this time. */
const strayMs = 10 * 60_000;

/**
 * Removes blobs that a crash left between two steps, then serves. Sandboxes that a crash left are ended as soon as the
 * runner is available. Functions are started on demand only.
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

/** The sandboxes that were made for functions but belong to none: their creator was killed before it recorded them. */
async function findStrays({ runner, records }: FunctionsContext): Promise<Sandbox[]> {
  const { sandboxes } = await runner.listSandboxes({});
  // Read after the list, so that it includes sandboxes that were recorded meanwhile.
  const own = new Set(await records.functions.listSandboxIds());
  return sandboxes.filter(
    ({ sandboxId, metadata }) => metadata[functionMetadataKey] !== undefined && !own.has(sandboxId),
  );
}

/**
 * Ends strays: at first those from before the start of this process, later those that have been strays for `strayMs`. A
 * younger one may be about to be recorded, or may serve its last requests.
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

/** Called before anything is written: what no row references is unused. */
async function dropStrayBlobs({ records, blobs, logger }: FunctionsContext): Promise<void> {
  const bundles = await records.functions.findUnused(await listBundles(blobs));
  const values = await records.kv.findUnused((await blobs.list('kv/')).map(({ key }) => key));
  await dropBundles(blobs, bundles);
  for (const key of values) await blobs.delete(key);
  const dropped = bundles.length + values.length;
  if (dropped > 0) logger.info({ dropped }, 'unreferenced function blobs removed');
}

/** Removes expired values from the disk, which readers no longer see. Ends sandboxes that belong to no function. */
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
    await sleepUnlessAborted(sweepEveryMs, stopping).catch(() => undefined);
  }
}
