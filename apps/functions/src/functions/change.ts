import { randomId, sleep, SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import type { DeployRequest } from '@soulbox/contract/function-service';
import type { FunctionKind } from '@soulbox/contract/functions';
import type { FunctionRecord, FunctionVersionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import type { LiveFunctions } from '../sandboxes/live.ts';
import { killSandbox, startFunctionSandbox } from '../sandboxes/start-sandbox.ts';
import { dropBundles, putBundle, readBundle } from './bundles.ts';
import { getOwn } from './find.ts';
import { defaultCompatibilityDate, defaultLimits, settingsOf, withRequest } from './settings.ts';

/** The sandbox of the version before may end its answers for this long. */
const retireAfterMs = 10_000;
/** No function's name has a blank. */
const bundlesLock = 'all bundles';

/** What changes a function: everything starts a sandbox for what shall be, and only when that serves does anything change. */
export interface Changes {
  create(teamId: string, name: string, kind: FunctionKind, request: DeployRequest): Promise<FunctionRecord>;
  deploy(teamId: string, name: string, request: DeployRequest): Promise<FunctionRecord>;
  rollback(teamId: string, name: string, version: number | undefined): Promise<FunctionRecord>;
  setSecrets(teamId: string, name: string, secrets: Readonly<Record<string, Secret>>): Promise<FunctionRecord>;
  removeSecret(teamId: string, name: string, secret: string): Promise<FunctionRecord>;
  remove(teamId: string, name: string): Promise<void>;
}

export function createChanges(context: FunctionsContext, live: LiveFunctions): Changes {
  const { records, blobs, locks, clock } = context;

  const retire = (sandboxId: string | undefined): void => {
    if (sandboxId === undefined) return;
    // A stop of the server ends the wait; the next start finds what is left.
    void sleep(retireAfterMs, context.stopping).then(
      () => killSandbox(context, sandboxId),
      () => undefined,
    );
  };

  /**
   * Guards the span from a bundle to the row that names it, and from "nobody names it" to its removal: the same code may be
   * that of two functions.
   */
  const withBundles = async <T>(work: () => Promise<T>): Promise<T> => await locks.alone(bundlesLock, work);

  /** Starts a sandbox for `wanted` and has `write` make it the function's; killed when that fails. */
  const start = async (
    wanted: FunctionRecord,
    source: string,
    write: (record: FunctionRecord) => Promise<void>,
  ): Promise<FunctionRecord> => {
    const sandboxId = await startFunctionSandbox(context, wanted, settingsOf(context, wanted, source));
    const record = { ...wanted, sandboxId, updatedAt: clock.now() };
    try {
      await write(record);
    } catch (error) {
      await killSandbox(context, sandboxId);
      throw error;
    }
    live.use(record, sandboxId);
    return record;
  };

  const save = async (record: FunctionRecord, version?: FunctionVersionRecord): Promise<void> => {
    if (await records.functions.save(record, version)) return;
    throw new SoulBoxError('function_not_found', `Function "${record.name}" was deleted during the request.`);
  };

  /** What is served changes, no version comes to be. */
  const restart = async (old: FunctionRecord, wanted: FunctionRecord, source: string): Promise<FunctionRecord> => {
    const record = await start(wanted, source, save);
    retire(old.sandboxId);
    return record;
  };

  const activeSource = async (record: FunctionRecord, number = record.activeVersion): Promise<string> => {
    const found = (await records.functions.listVersions(record.id)).find((entry) => entry.number === number);
    if (found === undefined)
      throw new SoulBoxError('version_not_found', `Function "${record.name}" has no version ${number}.`);
    return await readBundle(blobs, found.digest);
  };

  const create: Changes['create'] = async (teamId, name, kind, request) => {
    if ((await records.functions.find(name)) !== undefined) throw nameTaken(name);
    const id = randomId(20);
    const now = clock.now();
    const blank: FunctionRecord = {
      ...{ id, teamId, name, kind, environment: {}, sealedSecrets: {}, kvBindings: {} },
      ...{ limits: defaultLimits(context.config), compatibilityDate: defaultCompatibilityDate, compatibilityFlags: [] },
      ...{ activeVersion: 1, sandboxId: undefined, createdAt: now, updatedAt: now },
    };
    const wanted = withRequest(context, blank, request);
    await refuseTooMany(context, teamId);
    return await start(wanted, request.source, async (record) => {
      await withBundles(async () => {
        const version = { functionId: id, number: 1, ...(await putBundle(blobs, request.source)), createdAt: now };
        const created = await records.functions.create(record, version, context.config.functionLimit);
        if (created !== 'created') throw created === 'name_taken' ? nameTaken(name) : tooMany(context);
      });
    });
  };

  const deploy: Changes['deploy'] = async (teamId, name, request) => {
    const old = await getOwn(context, teamId, name);
    const [newest] = await records.functions.listVersions(old.id);
    const number = (newest?.number ?? 0) + 1;
    const wanted = { ...withRequest(context, old, request), activeVersion: number };
    const record = await start(wanted, request.source, async (served) => {
      await withBundles(async () => {
        const bundle = await putBundle(blobs, request.source);
        await save(served, { functionId: old.id, number, ...bundle, createdAt: clock.now() });
        await dropBundles(blobs, await records.functions.pruneVersions(old.id, context.config.functionVersionsKept));
      });
    });
    retire(old.sandboxId);
    return record;
  };

  const rollback: Changes['rollback'] = async (teamId, name, version) => {
    const old = await getOwn(context, teamId, name);
    const target = version ?? (await numberBefore(context, old));
    if (target === old.activeVersion) return old;
    return await restart(old, { ...old, activeVersion: target }, await activeSource(old, target));
  };

  const setSecrets: Changes['setSecrets'] = async (teamId, name, secrets) => {
    const old = await getOwn(context, teamId, name);
    return await restart(old, withRequest(context, old, { secrets }), await activeSource(old));
  };

  const removeSecret: Changes['removeSecret'] = async (teamId, name, secret) => {
    const old = await getOwn(context, teamId, name);
    if (!Object.hasOwn(old.sealedSecrets, secret))
      throw new SoulBoxError('secret_not_found', `Function "${name}" has no secret "${secret}".`);
    const { [secret]: _, ...sealedSecrets } = old.sealedSecrets;
    return await restart(old, { ...old, sealedSecrets }, await activeSource(old));
  };

  const remove: Changes['remove'] = async (teamId, name) => {
    const old = await getOwn(context, teamId, name);
    const digests = (await records.functions.listVersions(old.id)).map(({ digest }) => digest);
    await records.functions.remove(old.id);
    live.forget(name);
    if (old.sandboxId !== undefined) await killSandbox(context, old.sandboxId);
    context.logBook.forget(old.id);
    await withBundles(async () => dropBundles(blobs, await records.functions.findUnused(digests)));
  };

  const alone =
    <A extends unknown[], T>(work: (teamId: string, name: string, ...rest: A) => Promise<T>) =>
    (teamId: string, name: string, ...rest: A): Promise<T> =>
      locks.alone(name, () => work(teamId, name, ...rest));

  return {
    create: alone(create),
    deploy: alone(deploy),
    rollback: alone(rollback),
    setSecrets: alone(setSecrets),
    removeSecret: alone(removeSecret),
    remove: alone(remove),
  };
}

/** The version that was made before the active one. */
async function numberBefore({ records }: FunctionsContext, record: FunctionRecord): Promise<number> {
  const versions = await records.functions.listVersions(record.id);
  const found = versions.find(({ number }) => number < record.activeVersion);
  if (found !== undefined) return found.number;
  throw new SoulBoxError('version_not_found', `Function "${record.name}" has no version before the active one.`);
}

/** Said before a sandbox is started for nothing; the records decide. */
async function refuseTooMany(context: FunctionsContext, teamId: string): Promise<void> {
  if ((await context.records.functions.list(teamId)).length >= context.config.functionLimit) throw tooMany(context);
}

function tooMany({ config }: FunctionsContext): SoulBoxError {
  return new SoulBoxError(
    'limit_exceeded',
    `The team has reached the maximum number of functions (${config.functionLimit}). Delete one.`,
  );
}

function nameTaken(name: string): SoulBoxError {
  return new SoulBoxError('name_taken', `The name "${name}" is taken on this server. Choose another name.`);
}
