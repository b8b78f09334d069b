import type { ServerProcess } from '@soulbox/testing';
import type { Lab } from './lab.ts';

/**
 * The time in ms from the call of `create` to the first byte that a command in the new sandbox writes. Other sandboxes
 * are idle when it begins.
 */
export async function firstOutput(lab: Lab, server: ServerProcess, template = 'base'): Promise<number> {
  await lab.quiet(server);
  const startedAt = performance.now();
  const sandbox = await lab.create(server, template);
  let firstByteAt = Number.NaN;
  await sandbox.commands.run('echo ready', {
    onStdout: () => {
      if (Number.isNaN(firstByteAt)) firstByteAt = performance.now();
    },
  });
  await sandbox.kill();
  return firstByteAt - startedAt;
}
