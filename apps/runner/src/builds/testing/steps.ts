import { expect } from 'vitest';
import type { BuildLab, Told } from './build-lab.ts';

/** A step of one command. */
export const sh = (command: string, user?: string) => ({
  type: 'RUN',
  args: user === undefined ? [command] : [command, user],
});
export const env = (...args: string[]) => ({ type: 'ENV', args });
export const workdir = (path: string) => ({ type: 'WORKDIR', args: [path] });
export const user = (name: string) => ({ type: 'USER', args: [name] });
export const linesOf = ({ log }: Told, step: string): string[] =>
  log.filter((entry) => entry.step === step).map(({ message }) => message);

/** The output of a command in a sandbox of the build, which must have succeeded. */
export async function askBuilt(lab: BuildLab, told: Told, command: string): Promise<string> {
  expect(told.failed).toBeUndefined();
  const sandboxId = await lab.create(told.buildId);
  try {
    return await lab.ask(sandboxId, command);
  } finally {
    await lab.kill(sandboxId);
  }
}
