import type { TenantSandbox } from '../registry/table.ts';

interface Wanted {
  readonly teamId: string;
  /** Empty: every call makes something. */
  readonly creationId: string;
}

/**
 * Makes at most one thing for each `creationId`, as long as `find` finds it: the control plane repeats a create when it
 * does not know the outcome of the first. A call during the first one waits for it.
 */
export function createOnceOnly<T>(
  find: (wanted: Wanted) => T | undefined,
): (wanted: Wanted, make: () => Promise<T>) => Promise<T> {
  const underway = new Map<string, Promise<T>>();
  return async (wanted, make) => {
    if (wanted.creationId === '') return await make();
    const name = `${wanted.teamId} ${wanted.creationId}`;
    const waiting = underway.get(name);
    if (waiting !== undefined) return await waiting;
    const present = find(wanted);
    if (present !== undefined) return present;
    const making = make().finally(() => underway.delete(name));
    underway.set(name, making);
    return await making;
  };
}

/** The sandboxes that a call has made. */
export function madeBy(
  tenants: readonly TenantSandbox[],
  { teamId, creationId }: Wanted,
): [TenantSandbox, ...TenantSandbox[]] | undefined {
  const [first, ...others] = tenants.filter(
    ({ record: { tenant } }) => tenant.creationId === creationId && tenant.teamId === teamId,
  );
  return first && [first, ...others];
}
