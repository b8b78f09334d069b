import { Sandbox } from 'e2b';
import type { SandboxOpts } from 'e2b';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import './server.ts';

/** A sandbox for this test only. It is killed at the end of the test, whatever the result. */
export async function createSandbox(options: SandboxOpts = {}): Promise<Sandbox> {
  const sandbox = await Sandbox.create(options);
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

/** One sandbox for all tests of a file (or `describe`), for tests that leave it unchanged. */
export function sharedSandbox(options: SandboxOpts = {}): () => Sandbox {
  let sandbox: Sandbox | undefined;
  beforeAll(async () => {
    sandbox = await Sandbox.create(options);
  });
  afterAll(async () => {
    await sandbox?.kill();
  });
  return () => {
    if (sandbox === undefined) throw new Error('the shared sandbox is made in beforeAll');
    return sandbox;
  };
}
