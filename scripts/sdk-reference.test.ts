import { join } from 'node:path';
import { run } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('every public symbol of the SDK is documented for the reference', async () => {
  const typedoc = join(root, 'node_modules/typedoc/bin/typedoc');
  // typedoc.json says what must be documented. Each fault is a warning. A checkout may have no remote to link sources to.
  const options = ['--logLevel', 'Warn', '--emit', 'none', '--disableSources'];
  expect(await run(nodeProgram, [typedoc, ...options], { cwd: root })).toBe('');
});
