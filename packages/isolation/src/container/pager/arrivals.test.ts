import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { expect, onTestFinished, test } from 'vitest';
import { createArrivalFile } from '../../host/arrival.ts';
import { createArrivals } from './arrivals.ts';

test('blocks of a part that came with the list are there, those of others when they have arrived', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-arrivals-'));
  onTestFinished(() => removeTree(folder));
  const path = join(folder, 'arriving');
  const file = createArrivalFile(path, 3);
  onTestFinished(() => file.close());
  const arrivals = createArrivals({ path, count: 3, first: { 'pages-1.img': 1 } });
  onTestFinished(() => arrivals.close());
  expect(arrivals.arrivalOf('pages-2.img', 0)).toBe('there');
  arrivals.want('pages-2.img', 0);
  arrivals.want('pages-1.img', 1);
  expect(file.wanted()).toEqual([2]);
  expect(arrivals.arrivalOf('pages-1.img', 1)).toBe('missing');
  file.note(2, 'there');
  arrivals.refresh();
  expect(arrivals.arrivalOf('pages-1.img', 1)).toBe('there');
});
