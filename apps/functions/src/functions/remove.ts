import { dropBundles } from '../definitions/bundles.ts';
import { getOwn } from '../definitions/find.ts';
import { killSandbox } from '../sandboxes/start-sandbox.ts';
import { withBundles } from './replace-sandbox.ts';
import type { ChangeContext } from './replace-sandbox.ts';

export async function removeFunction(context: ChangeContext, teamId: string, name: string): Promise<void> {
  const { records, blobs, serving } = context;
  const old = await getOwn(context, teamId, name);
  const digests = (await records.functions.listVersions(old.id)).map(({ digest }) => digest);
  await records.functions.remove(old.id);
  await serving.forget(name);
  if (old.sandboxId !== undefined) await killSandbox(context, old.sandboxId);
  context.logBook.forget(old.id);
  await withBundles(context, async () => dropBundles(blobs, await records.functions.findUnused(digests)));
}
