import { compareVersions } from './install.ts';
import type { InstalledClient } from './install.ts';
import { runVersion } from './run-version.ts';
import { addressForms, expectedOf, kindOf } from './table.ts';
import type { AddressForm, Outcomes, Table } from './table.ts';

/** The results of one version with one form of the address. */
export interface Seen {
  readonly version: string;
  readonly form: AddressForm;
  readonly outcomes: Outcomes;
}

export interface RunOptions {
  /** The output of `soulbox env`, by form of the address. */
  readonly environments: Readonly<Record<AddressForm, Readonly<Record<string, string>>>>;
  readonly lanes: number;
  readonly onSeen?: (seen: Seen) => void;
}

type Variables = Readonly<Record<string, string>>;

/**
 * By form of the address: the variables of a user's shell after `soulbox env`, and the address of the API for calls
 * that a client does not have.
 */
export function environmentsOf(tls: Variables, plain: Variables): Record<AddressForm, Variables> {
  const own = { SOULBOX_TEST_API_URL: plain['E2B_API_URL'] ?? '' };
  return { tls: { ...tls, ...own }, plain: { ...tls, ...plain, ...own } };
}

/** Runs the scenario of a package with each version and each form of the address. */
export async function runClients(clients: readonly InstalledClient[], options: RunOptions): Promise<Seen[]> {
  const waiting = clients.flatMap((installed) => addressForms.map((form) => ({ installed, form })));
  const all: Seen[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { installed, form } = next;
      const outcomes = await runVersion(installed, options.environments[form]).catch((error: unknown) => ({
        create: `no scenario: ${String(error)}`,
      }));
      const seen = { version: installed.version, form, outcomes };
      all.push(seen);
      options.onSeen?.(seen);
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, lane));
  return all.toSorted((one, other) => compareVersions(one.version, other.version));
}

/** The outcomes that differ from the table, one line each. */
export function differences(table: Table, all: readonly Seen[]): string[] {
  return all.flatMap(({ version, form, outcomes }) =>
    [...table].flatMap(([step, cells]) => {
      const expected = expectedOf(cells[form], version);
      const outcome = outcomes[step] ?? 'not reached';
      return kindOf(outcome) === expected ? [] : [`${version} ${form} ${step}: expected ${expected}, seen: ${outcome}`];
    }),
  );
}
