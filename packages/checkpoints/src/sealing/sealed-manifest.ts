import { z } from 'zod';
import { blockKeyBytes, openBlock, placeOfBlock, sealBlock } from '@soulbox/keyring/blocks';
import type { Manifest } from '../manifest.ts';
import { sealedFormat } from '../manifest.ts';
import type { CheckpointKeys } from './checkpoint-keys.ts';

/** No part has this name: see `isPartName`. */
const place = (checkpointId: string): Buffer => placeOfBlock(checkpointId, '/manifest', 0);

/** The file of an encrypted manifest. Only its format, its id and the driver that saved it can be read without the key. */
const envelopeSchema = z.object({
  format: z.literal(sealedFormat),
  stateId: z.string(),
  /** For lists of the contents of a backup. A restore uses the encrypted facts. */
  facts: z.object({ driver: z.string(), driverVersion: z.string(), hasMemory: z.boolean() }),
  /** The key of the checkpoint, encrypted. */
  key: z.string(),
  seal: z.string(),
  /** Base64 of the encrypted JSON text. */
  manifest: z.string(),
});

export type SealedManifest = z.infer<typeof envelopeSchema>;

export async function sealManifest(manifest: Manifest, key: Uint8Array, keys: CheckpointKeys): Promise<SealedManifest> {
  const { stateId, facts } = manifest;
  const { bytes, seal } = sealBlock(key, place(stateId), Buffer.from(JSON.stringify(manifest), 'utf8'));
  const { driver, driverVersion, hasMemory } = facts;
  return {
    format: sealedFormat,
    stateId,
    facts: { driver, driverVersion, hasMemory },
    key: await keys.seal(stateId, key),
    seal,
    manifest: bytes.toString('base64'),
  };
}

/**
 * The manifest, unparsed, and the key. Undefined when the file is not of this form, or its content was altered or is
 * that of another checkpoint. Throws the errors of `CheckpointKeys.open`.
 */
export async function openManifest(
  checkpointId: string,
  content: unknown,
  keys: CheckpointKeys,
): Promise<{ readonly content: unknown; readonly key: Buffer } | undefined> {
  const envelope = envelopeSchema.safeParse(content).data;
  if (envelope?.stateId !== checkpointId) return undefined;
  const key = await keys.open(checkpointId, envelope.key);
  const isKey = key.length === blockKeyBytes;
  const block = Buffer.from(envelope.manifest, 'base64');
  const text = isKey ? openBlock(key, place(checkpointId), block, envelope.seal) : undefined;
  if (text !== undefined) return { content: JSON.parse(text.toString('utf8')), key };
  key.fill(0);
  return undefined;
}
