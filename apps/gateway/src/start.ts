import { X509Certificate } from 'node:crypto';
import { boundInterimAnswers, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import type { SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import type { GatewayConfig } from './config.ts';
import { createContext } from './context.ts';
import type { ApiAddress } from './forward/api.ts';
import { findExposures, judgeExposures } from './exposure.ts';
import { createHttpServers } from './listen/http-servers.ts';
import type { HttpServers } from './listen/http-servers.ts';
import { openPlainPort } from './listen/plain-port.ts';
import { openPrivateSocket } from './listen/private-socket.ts';
import { openTlsPort } from './listen/tls-port.ts';
import { createRoutes } from './routes.ts';
import type { Certificate } from './tls/certificate.ts';

export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly router: SandboxRouter;
  /** Absent if there are no functions. */
  readonly functions?: FunctionRouter | undefined;
  /** Absent if signed URLs are not accepted. */
  readonly signedUrls?: SignedUrlChecker | undefined;
  /** Absent if nobody records uses of sandboxes. */
  readonly sandboxUses?: SandboxUseReporter | undefined;
  readonly api: ApiAddress;
  /**
   * Resources for a gateway that is not allowed to open them itself. Absent: it opens ports and certificates according
   * to its settings.
   */
  readonly given?: GivenAccess | undefined;
  readonly logger: Logger;
  readonly clock?: Clock;
}

export interface GivenAccess {
  /** Bound sockets. */
  readonly ports: {
    readonly plain: number;
    readonly tls: number | undefined;
    /** A Unix socket for the SSH process. Undefined: there is none. */
    readonly ssh?: number | undefined;
  };
  /** Undefined if TLS is off. */
  readonly certificate: Certificate | undefined;
  /** Calls `use` with each later certificate. */
  readonly onCertificate: (use: (certificate: Certificate) => void) => void;
}

export interface Gateway extends AsyncDisposable {
  /** The bound port of HTTP/1.1 and h2c. */
  readonly port: number;
  /** The bound port of HTTPS. Undefined if TLS is off. */
  readonly tlsPort: number | undefined;
  /** The CA that clients must trust. Undefined if TLS is off or the operator provided a certificate. */
  readonly caFile: string | undefined;
  /** Checks for a new certificate now instead of within the hour. */
  checkCertificate(): Promise<void>;
}

/**
 * Opens both ports. Rejects with `config_invalid` for a bad certificate and with Node's error for a port in use.
 * Disposing stops accepting, gives open requests `shutdownGraceMs`, then resets them.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, logger } = options;
  boundInterimAnswers();
  const context = createContext(options);
  const routes = createRoutes(context);
  const servers = createHttpServers(config, routes.take);
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(context.envdUses);
  cleanup.defer(() => {
    context.sandboxes[Symbol.dispose]();
    context.api.pooled.destroy();
    context.api.fresh.destroy();
  });
  cleanup.defer(() => servers.close(config.shutdownGraceMs));
  const tls = config.tls ? await openTls(options, servers, cleanup) : undefined;
  const plain = await openPlainPort(config, servers, options.given?.ports.plain);
  cleanup.defer(() => plain.stop());
  if (options.given?.ports.ssh !== undefined) {
    const ofSsh = createHttpServers(config, routes.takeOfSsh);
    cleanup.defer(() => ofSsh.close(config.shutdownGraceMs));
    const socket = await openPrivateSocket(config, ofSsh, options.given.ports.ssh);
    cleanup.defer(() => socket.stop());
  }

  for (const exposure of await exposuresOf(options))
    logger.warn({ exposure }, 'clients can reach the gateway in an unsafe way');
  const owned = cleanup.move();
  logger.info({ host: config.host, port: plain.port, tlsPort: tls?.port, domain: config.domain }, 'gateway is up');
  return {
    port: plain.port,
    tlsPort: tls?.port,
    caFile: tls?.caFile,
    checkCertificate: async () => await tls?.check(),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

async function openTls(
  options: GatewayOptions,
  servers: HttpServers,
  cleanup: AsyncDisposableStack,
): Promise<{ port: number; caFile: string | undefined; check: () => Promise<void> }> {
  const { config, given, logger, clock = systemClock } = options;
  const certificate = given?.certificate ?? (await openOwn(config, clock));
  const listener = await openTlsPort(config, { servers, certificate, logger, bound: given?.ports.tls });
  cleanup.defer(() => listener.stop());
  if (given !== undefined) {
    given.onCertificate((next) => listener.useCertificate(next));
    return { port: listener.port, caFile: certificate.caFile, check: () => Promise.resolve() };
  }
  const { startRenewal } = await import('./tls/renewal.ts');
  const renewal = cleanup.use(
    startRenewal({ config, clock, current: certificate, logger, use: (next) => listener.useCertificate(next) }),
  );
  return { port: listener.port, caFile: certificate.caFile, check: () => renewal.check() };
}

/** Loaded on demand: a gateway that receives its certificate does not need the code that creates one. */
async function openOwn(config: GatewayConfig, clock: Clock): Promise<Certificate> {
  const { openCertificate } = await import('./tls/open-certificate.ts');
  return await openCertificate(config, clock);
}

async function exposuresOf({ config, given, clock = systemClock }: GatewayOptions): Promise<string[]> {
  if (given === undefined) return await findExposures(config, clock.now());
  const { certificate } = given;
  const isOperators = certificate !== undefined && certificate.caFile === undefined;
  return judgeExposures(config, isOperators ? new X509Certificate(certificate.certPem) : undefined, clock.now());
}
