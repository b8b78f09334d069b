import type { TenantSandbox } from '../registry/table.ts';

interface Wanted {
  readonly teamId: string;
  /** Empty: every call makes a sandbox. */
  readonly creationId: string;
}

/**
 * Makes at most one sandbox for each `creationId`, as long as it exists: the control plane repeats a create when it does
 * not know the outcome of the first.
 */
export function createOnceOnly(
  tenants: () => readonly TenantSandbox[],
): (wanted: Wanted, make: () => Promise<TenantSandbox>) => Promise<TenantSandbox> {
  const underway = new Map<string, Promise<TenantSandbox>>();
  return async ({ teamId, creationId }, make) => {
    if (creationId === '') return await make();
    const isWanted = ({ record: { tenant } }: TenantSandbox): boolean =>
      tenant.creationId === creationId && tenant.teamId === teamId;
    const present = tenants().find(isWanted);
    if (present !== undefined) return present;
    const name = `${teamId} ${creationId}`;
    const making = underway.get(name) ?? make().finally(() => underway.delete(name));
    underway.set(name, making);
    return await making;
  };
}
