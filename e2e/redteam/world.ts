import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Isolation } from '@soulbox/contract';
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

/** Two teams, a stand-in for the internet, and what must stay as it is. */
export interface World extends AsyncDisposable {
  readonly target: Target;
  /** The sandbox of the default team that attacks. Attempts in it run one after the other and leave it usable. */
  readonly attacker: Sandbox;
  readonly attackerToken: string;
  readonly neighbor: Neighbor;
  readonly host: HostWitness;
  readonly outside: Outside;
  /** The key of the message queue of the host. The neighbor's is the next. */
  readonly queue: number;
  /** A sandbox for one attempt, which may destroy it. */
  withSandbox<T>(use: (sandbox: Sandbox) => Promise<T>, options?: SandboxOpts): Promise<T>;
  /** What has changed on the host and in the neighbor since the world was opened. Empty if the walls held. */
  findHarm(): Promise<string[]>;
}

/** The environment must have the variables of the server's default team for the official client. */
export async function openWorld(target: Target): Promise<World> {
  await using opening = new AsyncDisposableStack();
  const word = (): string => `redteam-${randomBytes(12).toString('hex')}`;
  const queue = 0x5b000000 + randomBytes(2).readUInt16BE() * 2;
  const addresses = [publicAddress, ...metadataAddresses, ...(hasIpv6 ? [metadataAddress6] : [])];
  const outside = opening.use(await openOutside(addresses));
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
  const readState = async () => await readHostState(target.instance, files);
  const before = await readState();
  const all = opening.move();
  return {
    ...{ target, attacker, neighbor, host, outside, queue },
    attackerToken: (attacker as unknown as { envdAccessToken: string }).envdAccessToken,
    async withSandbox(use, options = {}) {
      const sandbox = await Sandbox.create({ timeoutMs: 600_000, ...options });
      try {
        return await use(sandbox);
      } finally {
        await Sandbox.kill(sandbox.sandboxId);
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
    // A path that the stand-in for the internet must never hear.
    reached: host.word,
    hostAddresses: own.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
    sandboxAddresses: [1, 2, 3, 4].map((slot) => `10.${200 + target.instance}.0.${slot}`),
  };
}
