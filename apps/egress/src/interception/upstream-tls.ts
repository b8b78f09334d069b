import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect, createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';
import { SoulBoxError } from '@soulbox/base';
import { EgressRefusal } from '../judge/refusal.ts';

const handshakeTimeoutMs = 30_000;

/**
 * The authorities that the certificate of a destination may have: those of the host's system, or Node's own list if it
 * has none, and those in the operator's file. Throws `config_invalid` if the file has no certificate.
 */
export function openTrust(extraCaFile?: string): SecureContext {
  const system = getCACertificates('system');
  const known = system.length > 0 ? system : getCACertificates('bundled');
  return createSecureContext({
    ca: extraCaFile === undefined ? known : [...known, readCaFile(extraCaFile)],
    minVersion: 'TLSv1.2',
  });
}

function readCaFile(path: string): string {
  const text = readFileSync(path, 'utf8');
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new SoulBoxError('config_invalid', `The file of additional authorities ${path} has no certificate.`);
}

/**
 * Starts TLS on a connection to a host and verifies its certificate, or resumes a session for which it was verified.
 * `protocols` are offered by ALPN. `onSession` gets at most one new session, of a host whose certificate was verified now. Throws
 * `EgressRefusal` with `upstream_certificate` or `upstream_failed`; then the socket is destroyed.
 */
export async function startTls(
  socket: Socket,
  options: {
    readonly name: string;
    readonly protocols: readonly string[];
    readonly trust: SecureContext;
    readonly session: Buffer | undefined;
    readonly onSession: (session: Buffer) => void;
  },
): Promise<TLSSocket> {
  const { name, protocols, trust, session, onSession } = options;
  const secure = connect({
    socket,
    servername: name,
    secureContext: trust,
    rejectUnauthorized: true,
    ...(session === undefined ? {} : { session }),
    ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
  });
  let isVerified = false;
  // In TLS 1.2 it comes before the certificate is verified.
  let early: Buffer | undefined;
  // One is enough, and a host may send any number of them.
  secure.once('session', (offered: Buffer) => {
    // A session that was resumed keeps its own time limit.
    if (secure.isSessionReused()) return;
    if (isVerified) onSession(offered);
    else early = offered;
  });
  return await new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      clearTimeout(timer);
      secure.destroy();
      socket.destroy();
      reject(new EgressRefusal(isOfCertificate(cause) ? 'upstream_certificate' : 'upstream_failed', { cause }));
    };
    const timer = setTimeout(() => fail(new Error('no TLS handshake in time')), handshakeTimeoutMs);
    const onClose = (): void => fail(new Error('closed in the TLS handshake'));
    secure.once('error', fail);
    secure.once('close', onClose);
    secure.once('secureConnect', () => {
      clearTimeout(timer);
      secure.off('error', fail).off('close', onClose);
      isVerified = true;
      if (early !== undefined) onSession(early);
      resolve(secure);
    });
  });
}

/** The error codes of OpenSSL's verification and of Node's check of names (nodejs.org/api/tls.html, X509 errors). */
function isOfCertificate(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : '';
  return /CERT|SIGNATURE|ISSUER|CRL|CHAIN|PURPOSE|INVALID_CA|HOSTNAME_MISMATCH|ALTNAME/.test(code);
}
