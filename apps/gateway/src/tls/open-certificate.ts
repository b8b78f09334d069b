import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import type { GatewayConfig } from '../config.ts';
import type { Certificate } from './certificate.ts';
import { openOwnCertificate } from './own-certificate.ts';

/** The certificate to serve now: the operator's files, or our own. Throws `config_invalid` naming the file at fault. */
export async function openCertificate(config: GatewayConfig, clock: Clock): Promise<Certificate> {
  const { tlsCertFile, tlsKeyFile } = config;
  if (tlsCertFile === '' && tlsKeyFile === '')
    return await openOwnCertificate(config.tlsDirectory, config.domain, clock);
  if (tlsCertFile === '' || tlsKeyFile === '')
    throw new SoulBoxError('config_invalid', 'SOULBOX_TLS_CERT and SOULBOX_TLS_KEY must be set together.');
  try {
    const certPem = await readFile(tlsCertFile, 'utf8');
    const keyPem = await readFile(tlsKeyFile, 'utf8');
    if (!new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem)))
      throw new Error('The key does not belong to the certificate.');
    return { certPem, keyPem, caFile: undefined };
  } catch (cause) {
    throw new SoulBoxError(
      'config_invalid',
      `The certificate ${tlsCertFile} with key ${tlsKeyFile} cannot be used: ${(cause as Error).message}`,
      { cause },
    );
  }
}
