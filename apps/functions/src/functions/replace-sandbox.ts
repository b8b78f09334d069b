import { sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { FunctionRecord, FunctionVersionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { readBundle } from '../definitions/bundles.ts';
import { settingsOf } from '../definitions/settings.ts';
import type { ServingSandboxes } from '../sandboxes/serving.ts';
import { killSandbox, startFunctionSandbox } from '../sandboxes/start-sandbox.ts';

export interface ChangeContext extends FunctionsContext {
  readonly serving: ServingSandboxes;
}

/** Time for the sandbox of the previous version to finish its responses. */
const retireAfterMs = 10_000;
/** Cannot collide with the lock of a function, because function names contain no space. */
const bundlesLock = 'all bundles';

/**
 * Starts a sandbox for `wanted` and calls `write`, which records it as the function's sandbox. Kills the sandbox when
 * `write` fails.
 */
export async function startWith(
  context: ChangeContext,
  wanted: FunctionRecord,
  source: string,
  write: (record: FunctionRecord) => Promise<void>,
): Promise<FunctionRecord> {
  const sandboxId = await startFunctionSandbox(context, wanted, await settingsOf(context, wanted, source));
  const record = { ...wanted, sandboxId, updatedAt: context.clock.now() };
  try {
    await write(record);
  } catch (error) {
    await killSandbox(context, sandboxId);
    throw error;
  }
  await context.serving.use(record, sandboxId);
  return record;
}

/** Replaces the serving sandbox without a new version. */
export async function replaceSandbox(
  context: ChangeContext,
  old: FunctionRecord,
  wanted: FunctionRecord,
  source: string,
): Promise<FunctionRecord> {
  const record = await startWith(context, wanted, source, (served) => saveFunction(context, served));
  retire(context, old.sandboxId);
  return record;
}

/** Ends a sandbox that gets no new requests, after a short wait. */
export function retire(context: FunctionsContext, sandboxId: string | undefined): void {
  if (sandboxId === undefined) return;
  // A stop of the server ends the wait; the next start finds the sandboxes that remain.
  void sleepUnlessAborted(retireAfterMs, context.stopping).then(
    () => killSandbox(context, sandboxId),
    () => undefined,
  );
}

export async function saveFunction(
  { records }: FunctionsContext,
  record: FunctionRecord,
  version?: FunctionVersionRecord,
): Promise<void> {
  if (await records.functions.save(record, version)) return;
  throw new SoulBoxError('function_not_found', `Function "${record.name}" was deleted during the request.`);
}

/** The code of a version. */
export async function readVersion(
  { records, blobs }: FunctionsContext,
  record: FunctionRecord,
  number = record.activeVersion,
): Promise<string> {
  const found = (await records.functions.listVersions(record.id)).find((entry) => entry.number === number);
  if (found === undefined)
    throw new SoulBoxError('version_not_found', `Function "${record.name}" has no version ${number}.`);
  return await readBundle(blobs, found.digest);
}

/**
 * A lock for two spans: from storing a bundle to the row that names it, and from finding a bundle unreferenced to
 * removing it. Two functions may have the same code.
 */
export async function withBundles<T>({ locks }: FunctionsContext, work: () => Promise<T>): Promise<T> {
  return await locks.alone(bundlesLock, work);
}
