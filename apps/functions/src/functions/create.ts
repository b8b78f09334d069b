import { randomId, SoulBoxError } from '@soulbox/base';
import type { DeployRequest } from '@soulbox/contract/function-service';
import type { FunctionKind } from '@soulbox/contract/functions';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';
import { putBundle } from '../definitions/bundles.ts';
import { defaultCompatibilityDate, defaultLimits, withRequest } from '../definitions/settings.ts';
import { startWith, withBundles } from './replace-sandbox.ts';
import type { ChangeContext } from './replace-sandbox.ts';

export async function createFunction(
  context: ChangeContext,
  teamId: string,
  name: string,
  kind: FunctionKind,
  request: DeployRequest,
): Promise<FunctionRecord> {
  const { records, blobs, clock } = context;
  if ((await records.functions.find(name)) !== undefined) throw nameTaken(name);
  const id = randomId(20);
  const now = clock.now();
  const blank: FunctionRecord = {
    ...{ id, teamId, name, kind, sealedEnvironment: '', sealedSecrets: {}, kvBindings: {} },
    ...{ limits: defaultLimits(context.config), compatibilityDate: defaultCompatibilityDate, compatibilityFlags: [] },
    ...{ activeVersion: 1, sandboxId: undefined, createdAt: now, updatedAt: now },
  };
  const wanted = await withRequest(context, blank, request);
  await refuseTooMany(context, teamId);
  return await startWith(context, wanted, request.source, async (record) => {
    await withBundles(context, async () => {
      const version = { functionId: id, number: 1, ...(await putBundle(blobs, request.source)), createdAt: now };
      const created = await records.functions.create(record, version, context.config.functionLimit);
      if (created !== 'created') throw created === 'name_taken' ? nameTaken(name) : tooMany(context);
    });
  });
}

/** Checked before a sandbox is started in vain; the records make the final decision. */
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
