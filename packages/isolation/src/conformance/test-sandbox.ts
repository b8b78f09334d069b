import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId, run, Secret, sleep } from '@soulbox/base';
import type { Driver, EnvdBundle, SandboxInstance, SandboxLimits, SandboxSpec, SavedMemory } from '../driver.ts';
import { limitSandboxesTogether } from '../root/limit-together.ts';

/** What the suite gives every sandbox, unless a test says otherwise. */
export const usualLimits: SandboxLimits = { cpus: 1, memoryMb: 256, diskMb: 256, maxProcesses: 256 };
/** The id of an ordinary user inside. */
export const ordinaryUser = 1000;
const answerTimeoutMs = 15_000;

/** What a program inside did. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestSandbox extends AsyncDisposable {
  readonly instance: SandboxInstance;
  readonly spec: SandboxSpec;
  readonly healthUrl: string;
  /** Runs a shell script inside, as root or as `uid`. */
  sh(script: string, uid?: number): Promise<Outcome>;
}

/** Makes sandboxes in a folder of its own and ends all of them, whatever a test did. */
export interface TestBench extends AsyncDisposable {
  readonly driver: Driver;
  /** What is saved here comes back as it is touched. */
  readonly lateMemory: boolean;
  createSpec(changes?: Partial<SandboxSpec>): Promise<SandboxSpec>;
  start(changes?: Partial<SandboxSpec>): Promise<TestSandbox>;
  /** Restores `memory` as the sandbox of `spec`, or as a new one. */
  restore(memory: SavedMemory, spec?: SandboxSpec): Promise<TestSandbox>;
  /** Suspends the sandbox and starts it anew on the disk it leaves. */
  startOnKeptDisk(sandbox: TestSandbox): Promise<TestSandbox>;
  /** A new empty folder on the file system of the sandboxes. */
  makeFolder(): Promise<string>;
}

export interface BenchOptions {
  readonly driver: Driver;
  /** Instance number the driver was made with: keeps ids, addresses and links apart from other tests. */
  readonly instanceNumber: number;
  readonly rootfs: string;
  readonly runtime: EnvdBundle;
  /** Sandboxes are numbered from here (up to 1023): test files that run side by side must not meet. Default 0. */
  readonly firstNumber?: number;
  /** Default false: memory is back when a restore answers. */
  readonly lateMemory?: boolean;
}

export async function openTestBench(options: BenchOptions): Promise<TestBench> {
  // As a server does, or busy sandboxes may keep the tests themselves from running.
  await limitSandboxesTogether(options.instanceNumber, 0.95 * cpus().length);
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-driver-'));
  const numbers = new Map<string, number>();
  const specs: SandboxSpec[] = [];
  let count = options.firstNumber ?? 0;

  const createSpec = async (changes: Partial<SandboxSpec> = {}): Promise<SandboxSpec> => {
    const sandboxId = changes.sandboxId ?? `i${randomId(20)}`;
    const number = ++count;
    const directory = join(folder, sandboxId);
    await mkdir(directory, { mode: 0o700 });
    const spec: SandboxSpec = {
      sandboxId,
      directory,
      rootfs: options.rootfs,
      layers: [],
      disk: 'new',
      // More than it can hold: whoever tests the limit says so.
      diskGrowthBytes: 2 ** 40,
      generation: randomId(20),
      runtime: options.runtime,
      idBase: (options.instanceNumber + 1) * 2 ** 28 + number * 65_536,
      limits: usualLimits,
      hostname: 'sandbox',
      nameServers: ['192.0.2.53'],
      hostToken: new Secret(`token-of-${sandboxId}`),
      attachNetwork: (namespace) => attachTestNetwork(namespace, testLink(options.instanceNumber, number)),
      ...changes,
    };
    numbers.set(spec.sandboxId, number);
    specs.push(spec);
    return spec;
  };

  const meet = async (spec: SandboxSpec, instance: SandboxInstance): Promise<TestSandbox> => {
    const origin = `http://${testLink(options.instanceNumber, numbers.get(spec.sandboxId) ?? 0).inside}:49983`;
    await waitForAnswer(`${origin}/health`);
    return {
      instance,
      spec,
      healthUrl: `${origin}/health`,
      sh: async (script, uid = 0) => {
        const body = JSON.stringify({ argv: ['sh', '-c', script], uid });
        // No connection stays open: one that is saved could not be restored under another address.
        const headers = { connection: 'close' };
        return (await (await fetch(`${origin}/run`, { method: 'POST', headers, body })).json()) as Outcome;
      },
      [Symbol.asyncDispose]: () => options.driver.destroy(spec.sandboxId, spec.directory),
    };
  };
  const start = async (spec: SandboxSpec): Promise<TestSandbox> => await meet(spec, await options.driver.start(spec));

  return {
    driver: options.driver,
    lateMemory: options.lateMemory ?? false,
    createSpec,
    start: async (changes) => await start(await createSpec(changes)),
    restore: async (memory, known) => {
      const spec = known ?? (await createSpec());
      return await meet(spec, await options.driver.restore(spec, memory));
    },
    startOnKeptDisk: async ({ spec }) => {
      await options.driver.suspend(spec.sandboxId, spec.directory);
      return await start({ ...spec, disk: 'kept', generation: randomId(20) });
    },
    makeFolder: async () => await mkdtemp(join(folder, 'folder-')),
    [Symbol.asyncDispose]: async () => {
      const ends = specs.map((spec) => options.driver.destroy(spec.sandboxId, spec.directory));
      const failed = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface TestLink {
  readonly name: string;
  readonly outside: string;
  readonly inside: string;
}

/** 198.18.0.0/15 is set aside for tests of network devices (RFC 2544). */
function testLink(instance: number, number: number): TestLink {
  const net = `198.18.${instance * 16 + (number >> 6)}`;
  const host = (number & 63) * 4;
  return { name: `sbt${instance}x${number}`, outside: `${net}.${host + 1}`, inside: `${net}.${host + 2}` };
}

/** The least that a runner does in `attachNetwork`: loopback, and a link that goes when the namespace goes. */
async function attachTestNetwork(namespace: string, link: TestLink): Promise<void> {
  const [, pid = ''] = /\/proc\/(\d+)\//.exec(namespace) ?? [];
  // The kernel may not have got round yet to removing that of the namespace before.
  await run('ip', ['link', 'del', link.name]).catch(() => undefined);
  await run('ip', ['-batch', '-'], {
    input: `link add ${link.name} type veth peer name eth0 netns ${pid}
      addr add ${link.outside}/30 dev ${link.name}\nlink set ${link.name} up\n`,
  });
  await run('nsenter', [`--net=${namespace}`, 'ip', '-batch', '-'], {
    input: `link set lo up\naddr add ${link.inside}/30 dev eth0\nlink set eth0 up\n`,
  });
}

async function waitForAnswer(url: string): Promise<void> {
  const deadline = Date.now() + answerTimeoutMs;
  for (;;) {
    try {
      await fetch(url, { headers: { connection: 'close' } });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(5);
    }
  }
}
