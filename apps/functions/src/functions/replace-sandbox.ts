import { sleep, SoulBoxError } from '@soulbox/base';
import type { FunctionRecord, FunctionVersionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { readBundle } from '../definitions/bundles.ts';
import { settingsOf } from '../definitions/settings.ts';
import type { ServingSandboxes } from '../sandboxes/serving.ts';
import { killSandbox, startFunctionSandbox } from '../sandboxes/start-sandbox.ts';

export interface ChangeContext extends FunctionsContext {
  readonly serving: ServingSandboxes;
}

/** The sandbox of the version before may end its answers for this long. */
const retireAfterMs = 10_000;
/** No function's name has a blank. */
const bundlesLock = 'all bundles';

/** Starts a sandbox for `wanted` and has `write` make it the function's; killed when that fails. */
export async function startWith(
  context: ChangeContext,
  wanted: FunctionRecord,
  source: string,
  write: (record: FunctionRecord) => Promise<void>,
): Promise<FunctionRecord> {
  const sandboxId = await startFunctionSandbox(context, wanted, settingsOf(context, wanted, source));
  const record = { ...wanted, sandboxId, updatedAt: context.clock.now() };
  try {
    await write(record);
  } catch (error) {
    await killSandbox(context, sandboxId);
    throw error;
  }
  context.serving.use(record, sandboxId);
  return record;
}

/** What is served changes, no version comes to be. */
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

/** Ends a sandbox that answers no new request any more, a moment later. */
export function retire(context: FunctionsContext, sandboxId: string | undefined): void {
  if (sandboxId === undefined) return;
  // A stop of the server ends the wait; the next start finds what is left.
  void sleep(retireAfterMs, context.stopping).then(
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
 * Guards the span from a bundle to the row that names it, and from "nobody names it" to its removal: the same code may be
 * that of two functions.
 */
export async function withBundles<T>({ locks }: FunctionsContext, work: () => Promise<T>): Promise<T> {
  return await locks.alone(bundlesLock, work);
}
