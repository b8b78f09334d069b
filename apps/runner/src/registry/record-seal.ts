import { z } from 'zod';
import { Secret } from '@soulbox/base';
import type { Keyring } from '@soulbox/keyring';

/** The version of the form of encrypted records. Earlier versions are the records themselves, as readable JSON. */
export const sealedVersion = 3;

/** Kinds of records. A record cannot be opened as one of another kind or with another id. */
export type RecordKind = 'sandbox' | 'snapshot' | 'build-cache' | 'export-key' | 'log';

/**
 * What commands and tests without the server's keys need of a record. The server itself uses only the encrypted content.
 */
const clearSchema = z.object({
  sandboxId: z.string().optional(),
  snapshotId: z.string().optional(),
  state: z.string().optional(),
  templateId: z.string().optional(),
  runtimeName: z.string().optional(),
});

const sealedSchema = z.object({ formatVersion: z.literal(sealedVersion), sealed: z.string() });

/** Encrypts the records of the runner. */
export interface RecordSeal {
  /** The text of the file of a record. */
  textOf(kind: RecordKind, id: string, record: object): Promise<string>;
  /**
   * The record in the content of a file, also one that is not encrypted. Throws `state_damaged` when it was altered or is
   * another record, `master_key_missing` when its key is lost.
   */
  open(kind: RecordKind, id: string, content: unknown): Promise<unknown>;
}

export function createRecordSeal(keyring: Pick<Keyring, 'open' | 'seal'>): RecordSeal {
  const placeOf = (kind: RecordKind, id: string) => ({
    table: 'runner',
    row: `${kind} ${id}`,
    field: 'record',
    team: '',
  });
  return {
    async textOf(kind, id, record) {
      const sealed = await keyring.seal(new Secret(JSON.stringify(record)), placeOf(kind, id));
      // Whether it has a tenant decides whether a server is needed to stop it.
      const tenant = 'tenant' in record && record.tenant !== undefined ? { tenant: {} } : {};
      return `${JSON.stringify({ formatVersion: sealedVersion, ...clearSchema.parse(record), ...tenant, sealed })}\n`;
    },
    async open(kind, id, content) {
      if (!isSealed(content)) return content;
      const { sealed } = sealedSchema.parse(content);
      return JSON.parse((await keyring.open(sealed, placeOf(kind, id))).reveal()) as unknown;
    },
  };
}

/** Whether the content of a file is an encrypted record. */
export function isSealed(content: unknown): boolean {
  return sealedSchema.safeParse(content).success;
}
