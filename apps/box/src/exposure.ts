import { once } from 'node:events';
import { connect } from 'node:tls';
import { findExposures, judgeExpiry, judgePlainPort } from '@soulbox/gateway/exposure';
import type { BoxConfig } from './config.ts';
import type { ServerFile } from './server-file.ts';

const answerTimeoutMs = 5000;

/** What an operator should know before a server starts with these settings, in words. */
export async function warnOf(config: BoxConfig): Promise<string[]> {
  return await findExposures(config.gateway, Date.now());
}

/** The same of a server that runs: the settings that it was started with are its own, what it listens on and shows is not. */
export async function warnOfServer({ host, port, tlsPort }: ServerFile): Promise<string[]> {
  const certificate = tlsPort === 0 ? undefined : await readShownCertificate(host, tlsPort);
  return [
    judgePlainPort(host, port),
    certificate === undefined ? undefined : judgeExpiry(certificate, Date.now()),
  ].filter((words) => words !== undefined);
}

/** Undefined when nobody answers there with one. */
async function readShownCertificate(host: string, port: number): Promise<{ readonly validTo: string } | undefined> {
  const address = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  // It is looked at, and nothing is sent: who it belongs to does not matter.
  const socket = connect({ host: address, port, rejectUnauthorized: false });
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
