import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createOperationBench } from '../testing/operation-bench.ts';
import { bootSandbox } from './boot.ts';

it('a boot from a template whose root was removed fails, and takes no slot', async () => {
  await using bench = await createOperationBench();
  const { host, templates } = bench.context;
  const template = await templates.find('base');
  if (template === undefined) throw new Error('the bench has no template');
  const rootfs = join(template.rootfs, 'removed');
  await rm(rootfs, { recursive: true, force: true });
  await expect(bootSandbox(host, { template: { ...template, rootfs }, isolation: 'container' })).rejects.toThrow();
  expect(host.slots.take()).toBe(1);
});
