import { setTimeout as sleep } from 'node:timers/promises';
import type { FunctionRoute, FunctionRouter } from '@soulbox/contract/function-service';
import { functionPorts } from '@soulbox/contract/functions';
import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { readBundle } from '../definitions/bundles.ts';
import { functionNotFound } from '../definitions/find.ts';
import { settingsOf } from '../definitions/settings.ts';
import { createLinkHandler } from '../link/serve-link.ts';
import { isHealthy, killSandbox, startFunctionSandbox } from './start-sandbox.ts';

/** Knows which sandbox serves each function at the moment. */
export interface ServingSandboxes extends FunctionRouter {
  /**
   * Makes this sandbox serve the function. Afterwards no request comes to the previous one, which the caller must
   * handle.
   */
  use(record: FunctionRecord, sandboxId: string): Promise<void>;
  /** Afterwards no sandbox serves the function. */
  forget(name: string): Promise<void>;
  /** Its supervisor may have ended: the next request checks it. */
  suspect(sandboxId: string): void;
}

/**
 * Anybody may call a function. A function that cannot start is not retried for every call, because each start costs a
 * sandbox.
 */
const retryAfterMs = 10_000;
/** A deploy takes that much longer, and a busy function needs a look-up only so often. Milliseconds. */
const leaseMs = 100;

interface Serving {
  readonly record: FunctionRecord;
  readonly sandboxId: string;
  /** Its supervisor may have ended: the next request checks it. */
  isSuspect: boolean;
  /** Its memory cannot be restored. The function is started again instead, so that its callers do not fail. */
  isLost: boolean;
}

const lostReasons: ReadonlySet<Reason> = new Set(['state_damaged', 'state_incompatible', 'sandbox_resume_failed']);

export function createServingSandboxes(context: () => FunctionsContext): ServingSandboxes {
  const byName = new Map<string, Serving>();
  const starting = new Map<string, Promise<Serving>>();
  const failed = new Map<string, { readonly error: unknown; readonly untilMs: number }>();
  /** When the last lease of a function ends. */
  const leasedUntilMs = new Map<string, number>();

  const afterLeases = async (name: string): Promise<void> => {
    // Those that are given meanwhile are for the next sandbox.
    const untilMs = leasedUntilMs.get(name) ?? 0;
    leasedUntilMs.delete(name);
    // A timer may end a part of a millisecond early.
    while (performance.now() < untilMs) await sleep(untilMs - performance.now());
  };

  const use = (record: FunctionRecord, sandboxId: string): Serving => {
    const serving = { record, sandboxId, isSuspect: false, isLost: false };
    byName.set(record.name, serving);
    failed.delete(record.name);
    void link(context(), serving);
    return serving;
  };

  const find = async (name: string): Promise<Serving> => {
    const record = await context().records.functions.find(name);
    if (record === undefined) throw functionNotFound(name);
    const { sandboxId } = record;
    const known = byName.get(name);
    const isLost = known?.sandboxId === sandboxId && known?.isLost === true;
    if (sandboxId !== undefined && !isLost && (await isAlive(context(), sandboxId))) return use(record, sandboxId);
    if (sandboxId !== undefined) await killSandbox(context(), sandboxId);
    return use(record, await start(record));
  };

  const start = async (record: FunctionRecord): Promise<string> => {
    const before = failed.get(record.name);
    if (before !== undefined && performance.now() < before.untilMs) throw before.error;
    try {
      return await startActive(context(), record);
    } catch (error) {
      failed.set(record.name, { error, untilMs: performance.now() + retryAfterMs });
      throw error;
    }
  };

  const findOnce = async (name: string): Promise<Serving> => {
    const mine =
      starting.get(name) ??
      context()
        .locks.alone(name, () => find(name))
        .finally(() => starting.delete(name));
    starting.set(name, mine);
    return await mine;
  };

  return {
    async open(name): Promise<FunctionRoute> {
      const known = byName.get(name);
      const isDoubtful = known === undefined || known.isSuspect || known.isLost;
      const isUsable = !isDoubtful && context().router.find(known.sandboxId) !== undefined;
      const serving = isUsable ? known : await findOnce(name);
      if (!context().links.has(serving.sandboxId)) void link(context(), serving);
      if (isUsable) leasedUntilMs.set(name, performance.now() + leaseMs);
      return {
        sandboxId: serving.sandboxId,
        port: functionPorts.requests,
        leaseMs: isUsable ? leaseMs : 0,
      };
    },
    async use(record, sandboxId) {
      use(record, sandboxId);
      await afterLeases(record.name);
    },
    async forget(name) {
      byName.delete(name);
      failed.delete(name);
      await afterLeases(name);
    },
    suspect(sandboxId) {
      for (const serving of byName.values()) if (serving.sandboxId === sandboxId) serving.isSuspect = true;
    },
  };
}

/** A paused sandbox counts as alive: its processes are restored on resume. */
async function isAlive(context: FunctionsContext, sandboxId: string): Promise<boolean> {
  // The table may be behind the runner's or still empty. That must not cost a function its sandbox.
  if (context.router.find(sandboxId) === undefined) await context.router.refresh();
  const route = context.router.find(sandboxId);
  if (route === undefined) return false;
  return route.state === 'paused' || (await isHealthy(context, sandboxId));
}

/** Opens the link and wakes the sandbox for it: the caller has a request for the sandbox. Never throws. */
async function link(context: FunctionsContext, serving: Serving): Promise<void> {
  const { router, links, logger } = context;
  const { sandboxId, record } = serving;
  try {
    if (router.find(sandboxId)?.state === 'paused') await router.wake(sandboxId);
    if (!(await links.open(sandboxId, createLinkHandler(context, record, sandboxId)))) serving.isSuspect = true;
  } catch (err) {
    // The request itself gets the same error and reports it to its client.
    serving.isLost = err instanceof SoulBoxError && lostReasons.has(err.reason);
    logger.debug({ sandboxId, err }, 'sandbox of a function could not be resumed');
  }
}

async function startActive(context: FunctionsContext, record: FunctionRecord): Promise<string> {
  const versions = await context.records.functions.listVersions(record.id);
  const active = versions.find(({ number }) => number === record.activeVersion);
  if (active === undefined)
    throw new SoulBoxError('version_not_found', `The function has no active version. Deploy one.`);
  const source = await readBundle(context.blobs, active.digest);
  const sandboxId = await startFunctionSandbox(context, record, await settingsOf(context, record, source));
  await context.records.functions.setSandbox(record.id, sandboxId);
  return sandboxId;
}
