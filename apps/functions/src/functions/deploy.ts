import type { DeployRequest } from '@soulbox/contract/function-service';
import type { FunctionRecord } from '@soulbox/storage';
import { dropBundles, putBundle } from '../definitions/bundles.ts';
import { getOwn } from '../definitions/find.ts';
import { withRequest } from '../definitions/settings.ts';
import { retire, saveFunction, startWith, withBundles } from './replace-sandbox.ts';
import type { ChangeContext } from './replace-sandbox.ts';

/** Deploys a new version. The sandbox of the previous version ends a moment later. */
export async function deployFunction(
  context: ChangeContext,
  teamId: string,
  name: string,
  request: DeployRequest,
): Promise<FunctionRecord> {
  const { records, blobs, clock } = context;
  const old = await getOwn(context, teamId, name);
  const [newest] = await records.functions.listVersions(old.id);
  const number = (newest?.number ?? 0) + 1;
  const wanted = { ...(await withRequest(context, old, request)), activeVersion: number };
  const record = await startWith(context, wanted, request.source, async (served) => {
    await withBundles(context, async () => {
      const bundle = await putBundle(blobs, request.source);
      await saveFunction(context, served, { functionId: old.id, number, ...bundle, createdAt: clock.now() });
      await dropBundles(blobs, await records.functions.pruneVersions(old.id, context.config.functionVersionsKept));
    });
  });
  retire(context, old.sandboxId);
  return record;
}
