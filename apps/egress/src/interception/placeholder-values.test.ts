import { create } from '@bufbuild/protobuf';
import { silentLogger, systemClock } from '@soulbox/base';
import { SandboxPolicySchema } from '@soulbox/contract/egress';
import { expect, test } from 'vitest';
import { policedSandboxFromWire } from '../policies/policed-sandbox.ts';
import type { PolicedSandbox } from '../policies/policed-sandbox.ts';
import { createPlaceholderValues } from './placeholder-values.ts';

const sandboxOf = (sandboxId: string): PolicedSandbox =>
  policedSandboxFromWire(create(SandboxPolicySchema, { address: '10.0.0.1', sandboxId, teamId: 't' }));

test('many hosts of one rule ask for a value once, and another sandbox asks for its own', async () => {
  const asked: string[] = [];
  using values = createPlaceholderValues(
    async ({ sandboxId }) => {
      asked.push(sandboxId);
      return await Promise.resolve({ 'e2b.secrets.key': `value of ${sandboxId}` });
    },
    { clock: systemClock, logger: silentLogger },
  );
  const valueFor = async (sandboxId: string, host: string): Promise<string | undefined> =>
    (await values.resolve(sandboxOf(sandboxId), host, ['e2b.secrets.key'])).get('e2b.secrets.key')?.reveal();
  for (let n = 0; n < 50; n += 1) expect(await valueFor('one', `n${n}.example`)).toBe('value of one');
  expect(await valueFor('two', 'n0.example')).toBe('value of two');
  expect(asked).toEqual(['one', 'two']);
});
