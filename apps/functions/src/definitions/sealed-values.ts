import { Secret } from '@soulbox/base';
import type { Keyring, Place } from '@soulbox/keyring';
import type { FunctionRecord } from '@soulbox/storage';

/** What the records have of a function in encrypted form. */
export type SealedValues = Pick<FunctionRecord, 'sealedEnvironment' | 'sealedSecrets'>;

type Owner = Pick<FunctionRecord, 'id' | 'teamId'>;

const placeOf = ({ id, teamId }: Owner, field: string): Place => ({ table: 'functions', row: id, field, team: teamId });
const environmentField = 'environment';
const secretField = (name: string): string => `secret:${name}`;

/** Encrypts all variables together, and each secret by itself. */
export async function sealValues(
  keyring: Keyring,
  owner: Owner,
  values: {
    readonly environment: Readonly<Record<string, string>>;
    readonly secrets: Readonly<Record<string, Secret>>;
  },
): Promise<SealedValues> {
  const environment = new Secret(JSON.stringify(values.environment));
  const secrets = Object.entries(values.secrets).map(
    async ([name, secret]) => [name, await keyring.seal(secret, placeOf(owner, secretField(name)))] as const,
  );
  return {
    sealedEnvironment: await keyring.seal(environment, placeOf(owner, environmentField)),
    sealedSecrets: Object.fromEntries(await Promise.all(secrets)),
  };
}

/** A function that was never written has none. */
export async function openEnvironment(keyring: Keyring, record: FunctionRecord): Promise<Record<string, string>> {
  if (record.sealedEnvironment === '') return {};
  const text = (await keyring.open(record.sealedEnvironment, placeOf(record, environmentField))).reveal();
  // Written by `sealValues`, and authenticated.
  return JSON.parse(text) as Record<string, string>;
}

export async function openSecrets(
  keyring: Keyring,
  record: FunctionRecord,
): Promise<(readonly [name: string, secret: Secret])[]> {
  return await Promise.all(
    Object.entries(record.sealedSecrets).map(
      async ([name, sealed]) => [name, await keyring.open(sealed, placeOf(record, secretField(name)))] as const,
    ),
  );
}
