import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { silentLogger } from '@soulbox/base/logger';
import { negotiateMount } from '@soulbox/fuse';
import { createFuseMount, deviceOfMount } from '@soulbox/linux/mount-objects';
import { expect, test } from 'vitest';
import { setReadAhead } from './read-ahead.ts';

test.skipIf(!existsSync('/dev/fuse'))(
  'reads ahead on a mount that nobody serves yet, without waiting for it',
  async () => {
    const device = openSync('/dev/fuse', 'r+');
    const mount = createFuseMount({ device, source: 'volume-0', isReadOnly: false });
    try {
      await negotiateMount(device, { locks: true, autoInvalidate: true });
      const file = `/sys/class/bdi/${deviceOfMount(mount)}/read_ahead_kb`;
      expect(readFileSync(file, 'utf8')).toBe('128\n');
      setReadAhead(mount, silentLogger);
      expect(readFileSync(file, 'utf8')).toBe('2048\n');
    } finally {
      closeSync(mount);
      closeSync(device);
    }
  },
);

test('what is no mount is only logged', () => {
  setReadAhead(-1, silentLogger);
});
