import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isIPv6 as isIpv6 } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';

/** Of vitest's worker, because two test files run at the same time. */
const worker = Number(process.env['VITEST_POOL_ID'] ?? '1') - 1;
const namespace = `soulbox-e2e-outside${worker}`;
const link = { host: `sbe2eout${worker}h`, inside: `sbe2eout${worker}i` };
const hostAddress = `198.18.${worker}.1`;
const insideAddress = `198.18.${worker}.2`;
const hostAddress6 = `fd00:5b:${worker}::1`;
const insideAddress6 = `fd00:5b:${worker}::2`;

/** A network namespace that stands for the internet outside this host. */
export interface Outside extends AsyncDisposable {
  /** The address of this host as seen from there: the source of a sandbox's packets after NAT. */
  readonly hostAddress: string;
  /** The datagrams and requests that it received, each text once. A connection without a request is `connection`. */
  heard(): Promise<readonly string[]>;
  forget(): Promise<void>;
}

/** The program of e2e/fixtures that answers there. It prints a line when it is ready. */
export interface StandIn {
  readonly program: string;
  readonly argument: string;
  /** A second argument. */
  readonly more?: string;
}

/**
 * Creates a namespace with the addresses, IPv4 or IPv6, and host routes to them. By default HTTP on port 80 answers there, and UDP
 * on port 53 of the first address. So a test can distinguish "denied" from "nothing is there": without the sandbox's rules every
 * address would answer.
 */
export async function openOutside(
  addresses: readonly string[],
  { program, argument, more }: StandIn = { program: 'outside.mjs', argument: addresses[0] ?? '' },
): Promise<Outside> {
  await removeOutside();
  const ip = async (...args: string[]): Promise<string> => await run('ip', args);
  try {
    await ip('netns', 'add', namespace);
    await ip('link', 'add', link.host, 'type', 'veth', 'peer', 'name', link.inside, 'netns', namespace);
    await ip('addr', 'add', `${hostAddress}/30`, 'dev', link.host);
    await ip('link', 'set', link.host, 'up');
    const inside = ['-n', namespace];
    await ip(...inside, 'addr', 'add', `${insideAddress}/30`, 'dev', link.inside);
    await ip(...inside, 'link', 'set', link.inside, 'up');
    await ip(...inside, 'link', 'set', 'lo', 'up');
    await ip(...inside, 'route', 'add', 'default', 'via', hostAddress);
    if (addresses.some(isIpv6)) {
      await ip('addr', 'add', `${hostAddress6}/64`, 'dev', link.host, 'nodad');
      await ip(...inside, 'addr', 'add', `${insideAddress6}/64`, 'dev', link.inside, 'nodad');
      await ip(...inside, 'route', 'add', 'default', 'via', hostAddress6);
    }
    for (const address of addresses) {
      const whole = `${address}/${isIpv6(address) ? 128 : 32}`;
      await ip(...inside, 'addr', 'add', whole, 'dev', 'lo');
      await ip('route', 'add', whole, 'via', isIpv6(address) ? insideAddress6 : insideAddress);
    }
    const file = join(import.meta.dirname, '../fixtures', program);
    const server = spawn(
      'ip',
      ['netns', 'exec', namespace, nodeProgram, file, argument, ...(more === undefined ? [] : [more])],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    const ended = once(server, 'exit');
    const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
    await Promise.race([lines.next(), ended]);
    const say = async (command: string): Promise<readonly string[]> => {
      server.stdin.write(`${command}\n`);
      const { value } = (await lines.next()) as { value: string };
      return JSON.parse(value) as string[];
    };
    return {
      hostAddress,
      heard: async () => await say('heard'),
      async forget() {
        await say('forget');
      },
      async [Symbol.asyncDispose]() {
        server.kill('SIGKILL');
        await ended;
        await removeOutside();
      },
    };
  } catch (error) {
    await removeOutside();
    throw error;
  }
}

/** Routes disappear with the interface. The namespace is removed last. */
async function removeOutside(): Promise<void> {
  await run('ip', ['link', 'del', link.host]).catch(() => undefined);
  await run('ip', ['netns', 'del', namespace]).catch(() => undefined);
}
