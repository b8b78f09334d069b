import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLocks, Secret, systemClock } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { silentLogger } from '@soulbox/base/logger';
import { openTestKeyring } from '@soulbox/keyring/testing';
import { ensureDefaultTeam, openDiskBlobs, openSqliteRecords } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { functionsConfigSchema } from '../config.ts';
import type { FunctionsContext } from '../context.ts';
import { createLogBook } from '../log/log-book.ts';
import type { ServingSandboxes } from '../sandboxes/serving.ts';
import { startStandInSandboxes } from '../testing/stand-in-sandboxes.ts';
import type { StandInSandboxes } from '../testing/stand-in-sandboxes.ts';
import { putBundle, readBundle } from '../definitions/bundles.ts';
import { createChanges } from './changes.ts';
import type { Changes } from './changes.ts';

// Records, blobs, keyring and the calls to the supervisor are real; a local server replaces the supervisor.
let cleanup: AsyncDisposableStack;
let sandboxes: StandInSandboxes;
let context: FunctionsContext;
let changes: Changes;
let teamId: string;
let used: string[];

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-functions-'));
  cleanup.defer(() => rm(folder, { recursive: true }));
  newRecordsFile(join(folder, 'records.sqlite'));
  const records = cleanup.use(openSqliteRecords(join(folder, 'records.sqlite')));
  const blobs = cleanup.use(await openDiskBlobs({ directory: join(folder, 'blobs') }));
  sandboxes = cleanup.use(await startStandInSandboxes());
  teamId = (await ensureDefaultTeam(records)).id;
  used = [];
  const stop = new AbortController();
  cleanup.defer(() => stop.abort());
  context = {
    ...{ config: loadConfig(functionsConfigSchema, {}, { functionVersionsKept: 3 }), teamSandboxLimit: 100 },
    teamKvBytes: 1_000_000,
    ...{
      records,
      blobs,
      runner: sandboxes.runner,
      router: sandboxes.router,
      supervisor: '',
      arriving: new Map(),
      stopping: stop.signal,
    },
    ...{ keyring: await openTestKeyring(records), logBook: createLogBook(), locks: createLocks() },
    ...{ clock: systemClock, logger: silentLogger, links: undefined as never },
  };
  const serving = {
    use: (_record: unknown, sandboxId: string) => used.push(sandboxId),
    forget: () => undefined,
  } as unknown as ServingSandboxes;
  changes = createChanges(context, serving);
});
afterEach(() => cleanup.disposeAsync());

const says = (text: string): string => `export default { fetch: () => new Response('${text}') };`;
const deploy = (text: string) => changes.deploy(teamId, 'f', { source: says(text) });
const lastServed = () => sandboxes.served.at(-1);

/** Version 1 has the first text, and so on. */
async function makeVersions(...texts: string[]): Promise<void> {
  const [first = '', ...others] = texts;
  await changes.create(teamId, 'f', 'workers', { source: says(first) });
  for (const text of others) await deploy(text);
}

describe('a rollback', () => {
  test('without a number selects the version before the active one, not the newest other version', async () => {
    await makeVersions('one', 'two', 'three');
    expect((await changes.rollback(teamId, 'f', undefined)).activeVersion).toBe(2);
    expect(lastServed()?.source).toBe(says('two'));
    expect((await changes.rollback(teamId, 'f', undefined)).activeVersion).toBe(1);
    expect(lastServed()?.source).toBe(says('one'));
    await expect(changes.rollback(teamId, 'f', undefined)).rejects.toMatchObject({ reason: 'version_not_found' });
    expect((await changes.rollback(teamId, 'f', 3)).activeVersion).toBe(3);
  });

  test('is followed by versions whose numbers continue after all others', async () => {
    await makeVersions('one', 'two');
    await changes.rollback(teamId, 'f', 1);
    expect((await deploy('three')).activeVersion).toBe(3);
    expect((await changes.rollback(teamId, 'f', undefined)).activeVersion).toBe(2);
  });

  test('to the active version starts nothing', async () => {
    await makeVersions('one', 'two');
    await changes.rollback(teamId, 'f', 2);
    expect(sandboxes.served).toHaveLength(2);
  });

  test('restores neither a revoked secret nor an older value of a changed secret', async () => {
    await changes.create(teamId, 'f', 'workers', {
      source: says('one'),
      secrets: { KEY: new Secret('first'), REVOKED: new Secret('leaked') },
    });
    await deploy('two');
    await changes.removeSecret(teamId, 'f', 'REVOKED');
    await changes.setSecrets(teamId, 'f', { KEY: new Secret('second') });
    expect((await changes.rollback(teamId, 'f', 1)).activeVersion).toBe(1);
    expect(lastServed()).toMatchObject({ source: says('one'), variables: { KEY: 'second' } });
    expect(JSON.stringify(lastServed())).not.toContain('leaked');
    expect(JSON.stringify(await context.records.functions.find('f'))).not.toMatch(/REVOKED|leaked|second/);
  });

  test('to a version that is no longer kept is refused', async () => {
    await makeVersions('one', 'two', 'three', 'four', 'five');
    const id = (await context.records.functions.find('f'))?.id ?? '';
    const versions = await context.records.functions.listVersions(id);
    expect(versions.map(({ number }) => number)).toEqual([5, 4, 3]);
    await expect(changes.rollback(teamId, 'f', 2)).rejects.toMatchObject({ reason: 'version_not_found' });
    expect((await changes.rollback(teamId, 'f', 3)).activeVersion).toBe(3);
  });
});

describe('a failed change has no effect', () => {
  test('code that does not start leaves no sandbox, and the previous version is still served', async () => {
    await makeVersions('one');
    sandboxes.answer = { state: 'broken', message: 'SyntaxError' };
    await expect(deploy('two')).rejects.toMatchObject({ reason: 'function_broken' });
    expect([...sandboxes.running]).toEqual(['i1']);
    expect(used).toEqual(['i1']);
    expect((await context.records.functions.find('f'))?.activeVersion).toBe(1);
  });

  test("another team's function is treated as missing", async () => {
    await makeVersions('one', 'two');
    await expect(changes.rollback('another', 'f', 1)).rejects.toMatchObject({ reason: 'function_not_found' });
    await expect(changes.remove('another', 'f')).rejects.toMatchObject({ reason: 'function_not_found' });
  });
});

describe('a bundle', () => {
  test('that does not match its digest is refused, and so is a missing one', async () => {
    const { digest } = await putBundle(context.blobs, says('one'));
    expect(await readBundle(context.blobs, digest)).toBe(says('one'));
    await context.blobs.put(`bundles/${digest}`, Readable.from([Buffer.from(says('evil'))]));
    const damaged = { reason: 'state_damaged' };
    await expect(readBundle(context.blobs, digest)).rejects.toMatchObject(damaged);
    await putBundle(context.blobs, says('one'));
    expect(await readBundle(context.blobs, digest)).toBe(says('one'));
    await context.blobs.delete(`bundles/${digest}`);
    await expect(readBundle(context.blobs, digest)).rejects.toMatchObject(damaged);
  });

  test('that was altered on the disk is not served by a rollback', async () => {
    await makeVersions('one', 'two');
    const { digest } = await putBundle(context.blobs, says('one'));
    await context.blobs.put(`bundles/${digest}`, Readable.from([Buffer.from(says('evil'))]));
    await expect(changes.rollback(teamId, 'f', 1)).rejects.toMatchObject({ reason: 'state_damaged' });
    expect(sandboxes.served).toHaveLength(2);
  });

  test('is deleted with the last version that uses it', async () => {
    await makeVersions('one', 'two');
    const { digest } = await putBundle(context.blobs, says('one'));
    await changes.create(teamId, 'g', 'workers', { source: says('one') });
    await changes.remove(teamId, 'f');
    expect(await readBundle(context.blobs, digest)).toBe(says('one'));
    await changes.remove(teamId, 'g');
    expect(await context.blobs.list('bundles/')).toEqual([]);
    expect(sandboxes.running.size).toBeLessThanOrEqual(1);
  });
});
