import { expect, test } from 'vitest';
import { installMissing } from './install-missing.ts';
import { knownPackages } from './install-packages.ts';
import { readSystemFamily } from './system.ts';

const debian = (await readSystemFamily()) === 'debian';

test('findings that no package can fix install nothing', async () => {
  const steps: string[] = [];
  await installMissing(['root', 'kernel-version', 'sysctl-kernel-pid-max'], (step) => steps.push(step));
  expect(steps).toEqual([]);
});

test.runIf(debian)('a package that this release does not have is omitted', async () => {
  expect(await knownPackages(['no-such-package-at-all', 'mount'])).toEqual(['mount']);
  expect(await knownPackages([])).toEqual([]);
});
