import { flushCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { createFunctionRouter } from '@soulbox/contract/function-routing';
import { createSandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import { createSignedUrlChecker } from '@soulbox/contract/signed-url-service';
import { createDescriptorReceiver, dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart } from '@soulbox/process';
import { measureOwn } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import { connectRouting } from '@soulbox/routing';
import { createSocketTransport } from '@soulbox/rpc';
import type { GatewayConfig } from './config.ts';
import { startGateway } from './start.ts';
import type { Certificate } from './tls/certificate.ts';

/**
 * How long to wait for the first table, which normally takes milliseconds. API requests need none, so they do not wait
 * for an absent runner.
 */
const firstTableMs = 5000;

/** The settings of a gateway in a process of its own. */
export interface GatewaySettings {
  readonly config: GatewayConfig;
  readonly cell: Cell;
  /** Open descriptors that the process was started with. */
  readonly descriptors: {
    readonly channel: number;
    readonly plain: number;
    readonly tls?: number;
    /** A Unix socket that only the SSH process can reach. */
    readonly ssh?: number;
  };
  /** Paths as seen inside the cell. */
  readonly sockets: { readonly runner: string; readonly control: string; readonly api: string };
  /** Absent if TLS is off. */
  readonly certificate?: Certificate;
}

export const gatewayProgram: PartProgram = {
  part: 'gateway',
  start: async (settings, logger) => await run(settings as unknown as GatewaySettings, logger),
};

async function run(
  { config, cell, descriptors, sockets, certificate }: GatewaySettings,
  logger: RootLogger,
): Promise<RunningPart> {
  const receiver = createDescriptorReceiver(descriptors.channel);
  // The compile cache cannot be written after this.
  flushCompileCache();
  dropPrivileges(cell);
  await using started = new AsyncDisposableStack();
  const child = logger.child({ part: 'gateway' });
  const router = started.use(
    connectRouting({
      transport: createSocketTransport(sockets.runner),
      receiver,
      takesConnections: true,
      logger: child,
    }),
  );
  await Promise.race([router.fed, sleep(firstTableMs)]);
  const control = createSocketTransport(sockets.control);
  let useNext = (_next: Certificate): void => undefined;
  const gateway = started.use(
    await startGateway({
      config,
      router,
      functions: createFunctionRouter(control),
      signedUrls: createSignedUrlChecker(control),
      sandboxUses: createSandboxUseReporter(control),
      api: { socketPath: sockets.api },
      given: {
        ports: { plain: descriptors.plain, tls: descriptors.tls, ssh: descriptors.ssh },
        certificate,
        onCertificate: (use) => (useNext = use),
      },
      logger: child,
    }),
  );
  const measuring = new AbortController();
  started.defer(() => measuring.abort());
  const figures = measureOwn(measuring.signal);
  const owned = started.move();
  return {
    figures,
    facts: { port: gateway.port, ...(gateway.tlsPort === undefined ? {} : { tlsPort: gateway.tlsPort }) },
    listeners: {
      certificate: (next) => {
        useNext(next as Certificate);
        child.info({}, 'a new certificate is in use');
      },
    },
    stop: async () => await owned.disposeAsync(),
  };
}
