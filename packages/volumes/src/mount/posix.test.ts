import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileBytesMax } from '../limits.ts';
import { mountVolume } from '../testing/mounted-volume.ts';
import { runPosixSuite } from '../testing/posix-suite.ts';
import { createVolume } from '../volume/open.ts';

const whyNot = existsSync('/dev/fuse') ? undefined : '/dev/fuse is missing';
const quota = { bytes: 8_000_000, inodes: 1000 };
const args = ['--quota', `${quota.bytes},${quota.inodes}`, '--longest', String(fileBytesMax)];

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'soulbox-volume-'));
  createVolume(data, { id: 'v', quota, root: { uid: 0, gid: 0, mode: 0o755 } });
});
afterEach(() => removeTree(data));

/** The table of docs/volumes.md: the errors of each call. */
async function readTable(): Promise<Record<string, string[]>> {
  const text = await readFile(join(import.meta.dirname, '../../../../docs/volumes.md'), 'utf8');
  const table = text.slice(text.indexOf('## Calls and errors'), text.indexOf('## Routes'));
  const rows = [...table.matchAll(/^\| (`.*`) \| (.*) \|$/gm)];
  const namesIn = (cell = ''): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
  return Object.fromEntries(rows.flatMap(([, calls, errors]) => namesIn(calls).map((call) => [call, namesIn(errors)])));
}

describe.skipIf(whyNot !== undefined)(`a mounted volume${whyNot === undefined ? '' : ` (${whyNot})`}`, () => {
  test('returns from each call what POSIX and Linux promise', { timeout: 120_000 }, async () => {
    await using server = await mountVolume(data, 1);
    const [mount = ''] = server.mounts;
    const { differences, checks } = await runPosixSuite(join(mount, 'suite'), args);
    expect(differences).toEqual([]);
    expect(checks).toBeGreaterThan(400);
  });

  test('that others mount too does so, and returns the errors of the documentation', { timeout: 120_000 }, async () => {
    await using server = await mountVolume(data, 2, { withReadOnly: true });
    const [mount = '', , readOnly = ''] = server.mounts;
    const all = [...args, '--read-only', join(readOnly, 'suite')];
    const { differences, errors } = await runPosixSuite(join(mount, 'suite'), all);
    expect(differences).toEqual([]);
    // `npm run test:storage` makes so many names of a file that there is no other.
    const { link = [], ...others } = errors;
    expect({ ...others, link: [...link, 'EMLINK'].toSorted() }).toEqual(await readTable());
  });
});
