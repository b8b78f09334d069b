import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId, run, Secret } from '@soulbox/base';
import type { Driver, EnvdBundle, SandboxInstance, SandboxLimits, SandboxSpec, SavedMemory } from '../driver.ts';
import { limitSandboxesTogether } from '../root/limit-together.ts';

/** The limits of every sandbox, unless a test specifies others. */
export const usualLimits: SandboxLimits = { cpus: 1, memoryMb: 256, diskMb: 256, maxProcesses: 256 };
/** The id of an ordinary user inside. */
export const ordinaryUser = 1000;
const answerTimeoutMs = 15_000;

/** The result of a program inside. */
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

/** Creates sandboxes in a folder of its own and ends all of them, even after a failed test. */
export interface TestBench extends AsyncDisposable {
  readonly driver: Driver;
  /** Whether memory that is saved here is loaded late, when it is touched. */
  readonly lateMemory: boolean;
  createSpec(changes?: Partial<SandboxSpec>): Promise<SandboxSpec>;
  start(changes?: Partial<SandboxSpec>): Promise<TestSandbox>;
  /** Restores `memory` as the sandbox of `spec`, or as a new one. */
  restore(memory: SavedMemory, spec?: SandboxSpec): Promise<TestSandbox>;
  /** Suspends the sandbox and starts it again on its kept disk. */
  startOnKeptDisk(sandbox: TestSandbox): Promise<TestSandbox>;
  /** Creates an empty folder on the file system of the sandboxes. */
  makeFolder(): Promise<string>;
}

export interface BenchOptions {
  readonly driver: Driver;
  /** The driver's instance number: keeps ids, addresses and links separate from other tests. */
  readonly instanceNumber: number;
  readonly rootfs: string;
  readonly envdBundle: EnvdBundle;
  /** Sandboxes are numbered from here (up to 1023); parallel test files must not use the same numbers. Default 0. */
  readonly firstNumber?: number;
  /** Default false: all memory is loaded when a restore returns. */
  readonly lateMemory?: boolean;
}

export async function openTestBench(options: BenchOptions): Promise<TestBench> {
  // Like a server: otherwise busy sandboxes may starve the tests themselves.
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
      // More than the disk can hold: tests of the limit set their own value.
      diskGrowthBytes: 2 ** 40,
      generation: randomId(20),
      envdBundle: options.envdBundle,
      idBase: (options.instanceNumber + 1) * 2 ** 28 + number * 65_536,
      limits: usualLimits,
      hostname: 'sandbox',
      nameServers: ['192.0.2.53'],
      hostToken: new Secret(`token-of-${sandboxId}`),
      attachNetwork: (namespace) => attachTestNetwork(namespace, testLink(options.instanceNumber, number)),
      volumes: [],
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
        // No connection stays open: a saved one could not be restored under another address.
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
      // A test may have killed a program in the middle of a start, whose last step still writes for a moment.
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

interface TestLink {
  readonly name: string;
  readonly outside: string;
  readonly inside: string;
}

/** 198.18.0.0/15 is reserved for tests of network devices (RFC 2544). */
function testLink(instance: number, number: number): TestLink {
  const net = `198.18.${instance * 16 + (number >> 6)}`;
  const host = (number & 63) * 4;
  return { name: `sbt${instance}x${number}`, outside: `${net}.${host + 1}`, inside: `${net}.${host + 2}` };
}

/** The minimum that a runner does in `attachNetwork`: loopback, and a link that is removed with the namespace. */
async function attachTestNetwork(namespace: string, link: TestLink): Promise<void> {
  const [, pid = ''] = /\/proc\/(\d+)\//.exec(namespace) ?? [];
  // The kernel may not have removed the link of the previous namespace yet.
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
