import { Sandbox } from '@e2b/code-interpreter';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { hasTemplate } from './template.ts';
import './server.ts';
import { until } from './until.ts';

const template = 'code-interpreter-v1';
export const isMade = await hasTemplate(template);

/** A sandbox with a code interpreter for all tests of a file. */
export function sharedInterpreter(): () => Sandbox {
  let sandbox: Sandbox | undefined;
  beforeAll(async () => {
    sandbox = await create();
  });
  afterAll(async () => {
    await sandbox?.kill();
  });
  return () => {
    if (sandbox === undefined) throw new Error('the shared sandbox is made in beforeAll');
    return sandbox;
  };
}

/** A sandbox with a code interpreter for this test only. */
export async function createInterpreter(envs: Record<string, string> = {}): Promise<Sandbox> {
  const sandbox = await create(envs);
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

async function create(envs: Record<string, string> = {}): Promise<Sandbox> {
  const sandbox = await Sandbox.create(template, { envs, timeoutMs: 600_000 });
  if (!(await answers(sandbox))) {
    // If the snapshots of the server contain no running start command, the test starts it.
    await sandbox.commands.run('sudo /opt/code-interpreter/start.sh', { background: true, timeoutMs: 0 });
    await until('the code interpreter', async () => await answers(sandbox), 60_000);
  }
  return sandbox;
}

export async function answers(sandbox: Sandbox): Promise<boolean> {
  return await sandbox.commands.run('curl -sf http://localhost:49999/health').then(
    () => true,
    () => false,
  );
}
