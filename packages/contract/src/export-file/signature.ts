import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { exportVersion } from './manifest.ts';

/** An Ed25519 public key: 32 bytes in base64url. */
export const exportKeyForm = /^[A-Za-z0-9_-]{43}$/;
const signatureForm = /^[A-Za-z0-9_-]{86}$/;

/** The first line of a file. It is part of what is signed, so no other document with this form is an export. */
export const exportMagic = `soulbox-export ${exportVersion}\n`;

/** The second line of a file. */
export const signatureSchema = z.strictObject({
  key: z.string().regex(exportKeyForm),
  signature: z.string().regex(signatureForm),
  manifestBytes: z.number().int().positive(),
});

export type ExportSignature = z.infer<typeof signatureSchema>;

const signedText = (manifest: Uint8Array): Buffer => Buffer.concat([Buffer.from(exportMagic), manifest]);

/** A new private key, as PKCS #8 in PEM. */
export function createExportKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export function publicExportKey(privateKey: string): string {
  return publicText(createPublicKey(createPrivateKey(privateKey)));
}

export function signManifest(manifest: Uint8Array, privateKey: string): ExportSignature {
  const signature = sign(null, signedText(manifest), createPrivateKey(privateKey)).toString('base64url');
  return { key: publicExportKey(privateKey), signature, manifestBytes: manifest.length };
}

/** Whether the holder of `key` has signed this manifest. Says nothing about who that is. */
export function isSigned(manifest: Uint8Array, { key, signature, manifestBytes }: ExportSignature): boolean {
  if (manifestBytes !== manifest.length) return false;
  try {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key }, format: 'jwk' });
    return verify(null, signedText(manifest), publicKey, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

function publicText(key: KeyObject): string {
  return key.export({ format: 'jwk' }).x ?? '';
}
