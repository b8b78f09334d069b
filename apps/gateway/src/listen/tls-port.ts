import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Logger } from '@soulbox/base';
import type { GatewayConfig } from '../config.ts';
import type { Certificate } from '../tls/certificate.ts';
import type { HttpServers } from './http-servers.ts';
import { listen, tcpOptions } from './listen.ts';
import type { Listener } from './listen.ts';

export interface TlsListener extends Listener {
  /** New connections use the new certificate. Open ones keep theirs. */
  useCertificate(certificate: Certificate): void;
}

/** The port with TLS: HTTP/2 or HTTP/1.1, negotiated by ALPN. */
export async function openTlsPort(
  config: GatewayConfig,
  options: { servers: HttpServers; certificate: Certificate; logger: Logger; bound?: number | undefined },
): Promise<TlsListener> {
  const { servers, certificate, logger, bound } = options;
  const pending = new Set<Socket>();
  const server = createServer(
    {
      ...tcpOptions,
      cert: certificate.certPem,
      key: certificate.keyPem,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: config.headersTimeoutMs,
      minVersion: 'TLSv1.2',
    },
    (socket) => {
      if (socket.alpnProtocol === 'h2') servers.serveHttp2(socket);
      else servers.serveHttp1(socket);
    },
  );
  server.on('tlsClientError', (error, socket) => {
    logger.debug({ err: error }, 'a TLS handshake failed');
    socket.destroy();
  });
  const place = bound === undefined ? { host: config.host, port: config.tlsPort } : { fd: bound };
  const listener = await listen(server, { place, maxConnections: config.maxConnections, pending });
  return {
    ...listener,
    useCertificate: (next) => server.setSecureContext({ cert: next.certPem, key: next.keyPem, minVersion: 'TLSv1.2' }),
  };
}
