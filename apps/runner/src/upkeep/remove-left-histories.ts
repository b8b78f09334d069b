import type { RecordStore } from '../registry/record.ts';
import type { SandboxTable } from '../registry/table.ts';

interface Histories {
  /** Removes those of all sandboxes that are not named. */
  keepOnly(sandboxIds: ReadonlySet<string>): Promise<void>;
}

/** Removes metrics and logs of sandboxes that ended while no server could remove them. */
export async function removeLeftHistories(
  {
    host,
    table,
  }: {
    readonly host: { readonly store: Pick<RecordStore, 'hasSetAside'> };
    readonly table: Pick<SandboxTable, 'tenants'>;
  },
  histories: readonly Histories[],
): Promise<void> {
  // An operator may repair a record that could not be read, and its sandbox is there again.
  if (await host.store.hasSetAside()) return;
  const present = table.tenants().filter(({ record }) => record.state !== 'ending');
  const ids = new Set(present.map(({ record }) => record.sandboxId));
  await Promise.all(histories.map(async (history) => await history.keepOnly(ids)));
}
