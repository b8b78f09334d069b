import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { compileCacheFolder } from '@soulbox/host/installation';
import { nodeProgram } from '@soulbox/testing';

const cliProgram = join(import.meta.dirname, '../../node_modules/@e2b/cli/dist/index.js');
const usualTimeoutMs = 60_000;
const usual = { NODE_COMPILE_CACHE: compileCacheFolder(), NO_UPDATE_NOTIFIER: '1', NO_COLOR: '1' };

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a Node program with only the given environment, Node's cache of compiled code, and closed input. */
export async function runNode(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  input = '',
  timeoutMs = usualTimeoutMs,
): Promise<Output> {
  const home = await mkdtemp(join(tmpdir(), 'soulbox-e2e-home-'));
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  const child = spawn(nodeProgram, args, {
    env: { ...usual, PATH: path, HOME: home, ...environment },
    stdio: 'pipe',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    return { code, ...output };
  } finally {
    await removeTree(home);
  }
}

/** Runs the official E2B CLI. */
export async function runCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  input?: string,
): Promise<Output> {
  return await runNode([cliProgram, ...args], environment, input);
}
