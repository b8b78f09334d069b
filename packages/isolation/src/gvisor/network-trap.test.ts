import { expect, test } from 'vitest';
import { CommandError } from '@soulbox/base';
import { isTrapped } from './network-trap.ts';

const endedWith = (exitCode: number | undefined, stderr: string): CommandError =>
  new CommandError(['runsc', 'run'], exitCode, stderr, undefined);

// Messages of runsc 0.0~20240729.
const start = 'running container: starting container: ';

test.each<[string, unknown, boolean | undefined]>([
  [
    'that it stands in the root network namespace',
    endedWith(
      128,
      `${start}setting up network: creating interfaces from net namespace "/proc/7/ns/net": cannot run with network enabled in root network namespace`,
    ),
    true,
  ],
  [
    'that the program is not there',
    endedWith(
      128,
      `${start}starting root container: starting sandbox: creating process: failed to load /missing: no such file or directory`,
    ),
    false,
  ],
  ['nothing, because it was killed', endedWith(137, ''), undefined],
  ['nothing in time', endedWith(undefined, ''), undefined],
  ['something else', endedWith(128, `${start}creating cgroup: no space left on device`), undefined],
  ['nothing, because it could not be started', new Error('ENOENT'), undefined],
])('runsc says %s', (_, error, isTrap) => {
  expect(isTrapped(error)).toBe(isTrap);
});
