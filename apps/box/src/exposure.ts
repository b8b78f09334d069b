import { once } from 'node:events';
import { connect } from 'node:tls';
import { findExposures, judgeExpiry, judgePlainPort } from '@soulbox/gateway/exposure';
import type { BoxConfig } from './config.ts';
import { localAddressOf } from './local-address.ts';
import type { ServerFile } from './server-file.ts';

const answerTimeoutMs = 5000;

/** Warnings for an operator before a server starts with these settings. */
export async function warnOf(config: BoxConfig): Promise<string[]> {
  return await findExposures(config.gateway, Date.now());
}

/** The same for a running server. Its settings are not known here, but its ports and its certificate are visible. */
export async function warnOfServer({ host, port, tlsPort }: ServerFile): Promise<string[]> {
  const certificate = tlsPort === 0 ? undefined : await readShownCertificate(host, tlsPort);
  return [
    judgePlainPort(host, port),
    certificate === undefined ? undefined : judgeExpiry(certificate, Date.now()),
  ].filter((words) => words !== undefined);
}

/** Undefined when nothing there presents a certificate. */
async function readShownCertificate(host: string, port: number): Promise<{ readonly validTo: string } | undefined> {
  // The certificate is only read and nothing is sent, so its owner does not matter.
  const socket = connect({ host: localAddressOf(host), port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(answerTimeoutMs) });
    const certificate = socket.getPeerX509Certificate();
    return certificate === undefined ? undefined : { validTo: certificate.validTo };
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}
