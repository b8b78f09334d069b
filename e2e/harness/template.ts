import { silentLogger } from '@soulbox/base';
import { openTemplateStore } from '@soulbox/templates';
import { testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import { expect } from 'vitest';

/**
 * Whether a template of the server's own has been made on this machine. Making one takes minutes, so tests of what is in it are
 * skipped where it is missing, and say so.
 */
export async function hasTemplate(name: string): Promise<boolean> {
  const found = await openTemplateStore(testTemplatesDirectory, silentLogger).find(name);
  if (found === undefined) {
    const file = expect.getState().testPath?.split('/').at(-1) ?? 'tests';
    console.log(
      `${file}: skipped, the template has not been made: soulbox template make ${name} --data-dir ${testDirectory}`,
    );
  }
  return found !== undefined;
}
