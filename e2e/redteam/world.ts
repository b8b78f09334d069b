import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Isolation } from '@soulbox/contract';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import type { SandboxOpts } from 'e2b';
import { createKeyOfNewTeam } from '../harness/new-team.ts';
import { openOutside } from '../harness/outside.ts';
import type { Outside } from '../harness/outside.ts';
import { hasIpv6, metadataAddress6, metadataAddresses, publicAddress } from './addresses.ts';
import { compareHostStates, readHostState } from './host-state.ts';
import { openHostWitness } from './host-witness.ts';
import type { HostWitness } from './host-witness.ts';
import { createNeighbor } from './neighbor.ts';
import type { Neighbor } from './neighbor.ts';
import { labAddresses } from './internet.ts';
import type { HostileProvider } from '@soulbox/api/hostile-provider';
import type { IdentityProvider } from './identity-provider.ts';
import type { Internet } from './internet.ts';

/** The server under attack. */
export interface Target {
  readonly pid: number;
  readonly port: number;
  readonly instance: number;
  readonly dataDirectory: string;
  readonly isolation: Isolation;
  /** Programs inside use a kernel of the sandbox's own. */
  readonly ownKernel: boolean;
  readonly apiKey: string;
  readonly apiUrl: string;
}

export function targetOf(server: ServerProcess, more: Pick<Target, 'isolation' | 'ownKernel'>): Target {
  const { pid, port, instance, dataDirectory, clientEnvironment } = server;
  return {
    ...{ pid, port, instance, dataDirectory, ...more },
    apiKey: clientEnvironment['E2B_API_KEY'] ?? '',
    apiUrl: clientEnvironment['E2B_API_URL'] ?? '',
  };
}

/** Two teams, a stand-in for the internet, and what must stay as it is. */
export interface World extends AsyncDisposable {
  readonly target: Target;
  /** The sandbox of the default team that attacks. Attempts in it run one after the other and leave it usable. */
  readonly attacker: Sandbox;
  readonly attackerToken: string;
  readonly neighbor: Neighbor;
  readonly host: HostWitness;
  readonly outside: Outside;
  readonly internet: Internet;
  /** At which people sign in. */
  readonly provider: HostileProvider;
  /** The key of the message queue of the host. The neighbor's is the next. */
  readonly queue: number;
  /** A sandbox for one attempt, which may destroy it. */
  withSandbox<T>(use: (sandbox: Sandbox) => Promise<T>, options?: SandboxOpts): Promise<T>;
  /**
   * The same with a network policy, in the form of the API. `create`: more members of the create. `apiKey`: of the team,
   * by default the attacker's.
   */
  withPolicy<T>(
    network: Readonly<Record<string, unknown>>,
    use: (sandbox: Sandbox) => Promise<T>,
    options?: { readonly create?: object; readonly apiKey?: string },
  ): Promise<T>;
  /** What has changed on the host and in the neighbor since the world was opened. Empty if the walls held. */
  findHarm(): Promise<string[]>;
}

/**
 * The environment must have the variables of the server's default team for the official client, and the server must have
 * been started with the environments of `internet` and of the identity provider, and its port.
 */
export async function openWorld(target: Target, internet: Internet, { provider }: IdentityProvider): Promise<World> {
  await using opening = new AsyncDisposableStack();
  const word = (): string => `redteam-${randomBytes(12).toString('hex')}`;
  const queue = 0x5b000000 + randomBytes(2).readUInt16BE() * 2;
  const addresses = [...labAddresses, ...metadataAddresses, ...(hasIpv6 ? [metadataAddress6] : [])];
  const standIn = { program: 'rogue-internet.mjs', argument: publicAddress, more: internet.standIn };
  const outside = opening.use(await openOutside(addresses, standIn));
  const host = opening.use(await openHostWitness(`/run/soulbox-redteam-${target.instance}`, word(), queue));
  const neighborKey = await createKeyOfNewTeam(target.dataDirectory, word());
  const neighbor = await createNeighbor(neighborKey, word(), { gatewayPort: target.port, queue: queue + 1 });
  opening.defer(async () => {
    await neighbor.sandbox.kill();
  });
  const attacker = await Sandbox.create({ timeoutMs: 3_600_000 });
  opening.defer(async () => {
    await attacker.kill();
  });
  const files = ['/usr/bin/crun', '/usr/bin/runsc', '/usr/sbin/nft', '/etc/passwd', ...listBundles(target)];
  const call = async (method: string, path: string, apiKey: string, body?: object): Promise<string> => {
    const headers = { 'x-api-key': apiKey, 'content-type': 'application/json' };
    const more = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await fetch(`${target.apiUrl}${path}`, { method, headers, ...more });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} returns ${response.status}: ${text}`);
    return text;
  };
  await call('POST', '/secrets', target.apiKey, { name: 'redteam', value: internet.canary });
  opening.defer(async () => {
    await call('DELETE', '/secrets/redteam', target.apiKey);
  });
  const readState = async () => await readHostState(target.instance, files);
  const before = await readState();
  const all = opening.move();
  return {
    ...{ target, attacker, neighbor, host, outside, internet, provider, queue },
    attackerToken: (attacker as unknown as { envdAccessToken: string }).envdAccessToken,
    async withSandbox(use, options = {}) {
      const sandbox = await Sandbox.create({ timeoutMs: 600_000, ...options });
      try {
        return await use(sandbox);
      } finally {
        await Sandbox.kill(sandbox.sandboxId);
      }
    },
    async withPolicy(network, use, { create = {}, apiKey = target.apiKey } = {}) {
      const request = { templateID: 'base', timeout: 600, network, ...create };
      const made = JSON.parse(await call('POST', '/v2/sandboxes', apiKey, request)) as { sandboxID: string };
      const { sandboxID } = made;
      try {
        return await use(await Sandbox.connect(sandboxID, { apiKey }));
      } finally {
        await Sandbox.kill(sandboxID, { apiKey });
      }
    },
    async findHarm() {
      const [harm, after] = await Promise.all([neighbor.findHarm(), readState()]);
      return [...harm, ...compareHostStates(before, after)];
    },
    [Symbol.asyncDispose]: async () => await all.disposeAsync(),
  };
}

/** The programs that sandboxes see read-only. */
function listBundles({ dataDirectory }: Target): string[] {
  const folder = join(dataDirectory, 'runtime');
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The parameters of `batch.py`. `scratch`: a folder where its programs may write. */
export function batchParameters(world: World, scratch: string): Record<string, unknown> {
  const { target, host, neighbor, queue } = world;
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return {
    scratch,
    hostFile: host.file,
    hostWord: host.word,
    hostProcess: host.pid,
    neighborWord: neighbor.word,
    neighborPort: 8080,
    queue,
    key: host.word,
    dataFolder: target.dataDirectory,
    apiPort: target.port,
    publicAddress,
    listeners: [`10.${200 + target.instance}.255.254`, '10.11.0.1'],
    // A path that the stand-in for the internet must never hear.
    reached: host.word,
    hostAddresses: own.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
    sandboxAddresses: [1, 2, 3, 4].map((slot) => `10.${200 + target.instance}.0.${slot}`),
  };
}
