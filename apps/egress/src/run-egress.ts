import { flushCompileCache } from 'node:module';
import type { Transport } from '@connectrpc/connect';
import { setTimeout as sleep } from 'node:timers/promises';
import { measureOwn } from '@soulbox/base';
import type { Logger, RootLogger } from '@soulbox/base';
import { loadX509 } from '@soulbox/certificates';
import { createOutsidePolicy, openLocalAddresses } from '@soulbox/network/outside';
import { dropPrivileges } from '@soulbox/process';
import type { Cell, PartProgram, RunningPart } from '@soulbox/process';
import { createSocketTransport } from '@soulbox/rpc';
import { createInterceptor, openTrust } from './interception/index.ts';
import { dialThroughProxy } from './proxy/dial-through-proxy.ts';
import { startEgress } from './start.ts';
import type { Egress } from './start.ts';

/** How long the start waits for the policies, which normally takes milliseconds. Without them everything is refused. */
const policiesMs = 5000;

/** The settings of an egress process. */
export interface EgressSettings {
  /** Where the kernel redirects to. */
  readonly listen: { readonly address: string; readonly tcpPort: number; readonly dnsPort: number };
  /** `ADDRESS` or `ADDRESS:PORT` of the operator's name servers. */
  readonly nameServers: readonly string[];
  /** CIDR networks that no sandbox reaches, beside those that are forbidden to everybody. */
  readonly deniedRanges: readonly string[];
  /** File with more authorities that intercepted hosts may have. Absent: only those of the system. */
  readonly caFile?: string;
}

/** The settings of an egress process of its own. */
export interface EgressProcessSettings extends EgressSettings {
  readonly cell: Cell;
  /** Paths as seen inside the cell. */
  readonly sockets: { readonly runner: string; readonly control: string };
}

export const egressProgram: PartProgram = {
  part: 'egress',
  start: async (settings, logger) => await run(settings as unknown as EgressProcessSettings, logger),
};

/**
 * Starts the egress of a host, in this process. `enter` is called between what needs privileges and what faces sandboxes.
 */
export async function startHostEgress(
  { listen, nameServers, deniedRanges, caFile }: EgressSettings,
  { runner, control, logger }: { readonly runner: Transport; readonly control: Transport; readonly logger: Logger },
  enter: () => void = () => undefined,
): Promise<Egress> {
  await using started = new AsyncDisposableStack();
  // What the cell hides: code, the kernel's list of own addresses, and the certificate authorities of the system.
  await loadX509();
  const trust = openTrust(caFile);
  const local = started.use(openLocalAddresses());
  const outside = createOutsidePolicy(deniedRanges, () => local.read());
  enter();
  const egress = started.use(
    await startEgress({
      ...{ listen, nameServers, runner, control, logger },
      isOpen: (address) => outside.isOpen(address),
      createInterceptor: (given) => createInterceptor({ ...given, trust }),
      dialThroughProxy,
    }),
  );
  const owned = started.move();
  return { ...egress, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

async function run(settings: EgressProcessSettings, logger: RootLogger): Promise<RunningPart> {
  const { cell, sockets } = settings;
  await using started = new AsyncDisposableStack();
  const links = {
    runner: createSocketTransport(sockets.runner),
    control: createSocketTransport(sockets.control),
    logger: logger.child({ part: 'egress' }),
  };
  const egress = started.use(
    await startHostEgress(settings, links, () => {
      // The compile cache cannot be written after the next step.
      flushCompileCache();
      dropPrivileges(cell);
    }),
  );
  await Promise.race([egress.fed, sleep(policiesMs)]);
  links.logger.info({ ...settings.listen }, 'egress is listening');
  const measuring = new AbortController();
  started.defer(() => measuring.abort());
  const figures = measureOwn(measuring.signal);
  const owned = started.move();
  return {
    figures,
    facts: { tcpPort: egress.tcpPort, dnsPort: egress.dnsPort },
    stop: async () => await owned.disposeAsync(),
  };
}
