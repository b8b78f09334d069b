import { afterAll, beforeAll, beforeEach } from 'vitest';
import { startEnvd } from './start-envd.ts';
import type { TestEnvd } from './start-envd.ts';
import { findTestRoot } from './test-root.ts';

/** One envd for all tests of a file. Each test begins with the default settings. */
export function useEnvd(): () => TestEnvd {
  let envd: TestEnvd;
  beforeAll(async () => {
    envd = await startEnvd(await findTestRoot());
  });
  afterAll(async () => {
    await envd[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await envd.init({});
  });
  return () => envd;
}
