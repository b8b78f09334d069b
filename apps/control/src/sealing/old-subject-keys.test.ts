import { createCipheriv, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSubjectKey, openFields, openSubjectKey, sealFields } from '@soulbox/audit';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { fileMasterKeys, openKeyring, rotateMasterKey } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { migrateBefore } from '@soulbox/storage/testing';
import { sealOldValues } from './seal-old-values.ts';

const ids = Array.from({ length: 230 }, (_, n) => n.toString(16).padStart(24, '0'));
let folder: string;
let wrapKey: Buffer;
let dataKeys: Map<string, Buffer>;
let wrappedKeys: Buffer[];
const recordsFile = (): string => join(folder, 'records.sqlite');
const wrapKeyFile = (): string => join(folder, 'secrets', 'audit-wrap-key');
const sources = () => [fileMasterKeys(join(folder, 'secrets', 'master-key'))] as const;

/** As the version before wrapped them. */
function wrapOld(key: Buffer, id: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', wrapKey, nonce).setAAD(Buffer.from(`audit subject ${id}`));
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-subjects-'));
  wrapKey = randomBytes(32);
  dataKeys = new Map(ids.map((id) => [id, randomBytes(32)]));
  await mkdir(join(folder, 'secrets'), { mode: 0o700 });
  await writeFile(wrapKeyFile(), `${wrapKey.toString('hex')}\n`, { mode: 0o600 });
  const db = new DatabaseSync(recordsFile());
  migrateBefore(db, 'CREATE TABLE audit_subject_keys');
  db.exec('PRAGMA journal_mode = WAL');
  const insert = db.prepare("INSERT INTO audit_subjects VALUES ('t1', ?, ?, ?, 'w')");
  wrappedKeys = [...dataKeys].map(([id, key]) => wrapOld(key, id));
  for (const [n, id] of ids.entries()) insert.run(`subject-${id}`, id, wrappedKeys[n] ?? null);
  // Nothing else is left to do, as after a start of the version before.
  db.exec('DELETE FROM pending_sealing');
  db.close();
});
afterEach(() => removeTree(folder));

interface Opened extends AsyncDisposable {
  readonly records: Records;
  readonly keyring: Keyring;
  readonly seal: (records?: Records) => Promise<void>;
}
async function start(): Promise<Opened> {
  const opened = openSqliteRecords(recordsFile());
  const keyring = await openKeyring({ records: opened.keyring, sources: sources() });
  const secretsDirectory = join(folder, 'secrets');
  return {
    records: opened,
    keyring,
    seal: async (records = opened) => await sealOldValues({ records, keyring, secretsDirectory, logger: silentLogger }),
    async [Symbol.asyncDispose]() {
      keyring[Symbol.dispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}

async function checkKeys({ records, keyring }: Pick<Opened, 'records' | 'keyring'>): Promise<void> {
  for (const [id, key] of dataKeys) {
    const stored = await records.audit.findSubjectKey('t1', `subject-${id}`);
    if (stored === undefined) throw new Error(`no key ${id}`);
    expect((await openSubjectKey(keyring, 't1', stored)).key.export().equals(key)).toBe(true);
  }
}

it('seals the wrapped keys of the version before with the keyring, and leaves neither them nor their key', async () => {
  {
    await using opened = await start();
    await opened.seal();
    await checkKeys(opened);
  }
  await expect(stat(wrapKeyFile())).rejects.toThrow('ENOENT');
  const files = (await readdir(folder)).filter((name) => name.startsWith('records.sqlite'));
  const bytes = Buffer.concat(await Promise.all(files.map((name) => readFile(join(folder, name)))));
  expect(wrappedKeys.some((wrapped) => bytes.includes(wrapped))).toBe(false);
});

it('keeps them readable over a rotation of the master key that removes the old one', async () => {
  await using opened = await start();
  await opened.seal();
  const { key, stored } = await createSubjectKey(opened.keyring, 't1');
  const fields = sealFields({ ip: '203.0.113.7' }, key, 'r');
  const rotation = await rotateMasterKey({ records: [opened.records.keyring], sources: sources(), keepOld: false });
  expect(rotation.retired).toMatchObject([{ isRemoved: true }]);
  using after = await openKeyring({ records: opened.records.keyring, sources: sources() });
  await checkKeys({ records: opened.records, keyring: after });
  expect(openFields(fields, await openSubjectKey(after, 't1', stored), 'r')).toEqual({ ip: '203.0.113.7' });
});

it.each(['sealSubjectKey', 'finish'] as const)('continues after a crash at %s', async (step) => {
  let calls = 0;
  {
    await using opened = await start();
    const crashing: Records = {
      ...opened.records,
      sealing: {
        ...opened.records.sealing,
        [step]: async (...args: never[]) => {
          calls++;
          if (step === 'finish' || calls === 120) throw new Error('killed');
          await (opened.records.sealing[step] as (...given: never[]) => Promise<unknown>)(...args);
        },
      },
    };
    await expect(opened.seal(crashing)).rejects.toThrow('killed');
    await stat(wrapKeyFile());
  }
  await using opened = await start();
  await opened.seal();
  await checkKeys(opened);
});

it.each([
  ['missing', () => rm(wrapKeyFile())],
  ['damaged', () => writeFile(wrapKeyFile(), 'short\n')],
  ['another one', () => writeFile(wrapKeyFile(), randomBytes(32).toString('hex'))],
])('refuses to start when the old key is %s, loses nothing, and says how to go on', async (_what, spoil) => {
  await spoil();
  {
    await using opened = await start();
    await expect(opened.seal()).rejects.toMatchObject({ reason: 'config_invalid' });
    await expect(opened.seal()).rejects.toThrow(/Put the right file back/);
  }
  await writeFile(wrapKeyFile(), wrapKey.toString('hex'));
  await using opened = await start();
  await opened.seal();
  await checkKeys(opened);
});

it('starts without the old key once the operator has given the fields up as the error says', async () => {
  await rm(wrapKeyFile());
  {
    await using opened = await start();
    await expect(opened.seal()).rejects.toThrow(/DELETE FROM audit_subjects WHERE sealed_key = ''/);
  }
  const db = new DatabaseSync(recordsFile());
  db.exec("DELETE FROM audit_subjects WHERE sealed_key = ''");
  db.close();
  await using opened = await start();
  await opened.seal();
  expect(await opened.records.sealing.isPending()).toBe(false);
});

it('has nothing to do for records without such keys', async () => {
  await rm(recordsFile());
  await using opened = await start();
  await opened.seal();
  expect(await opened.records.sealing.isPending()).toBe(false);
});
