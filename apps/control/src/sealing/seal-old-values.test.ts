import { createCipheriv, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { placeOfWebhookSecret } from '@soulbox/api';
import { fileMasterKeys, openKeyring } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { migrateBefore } from '@soulbox/storage/testing';
import { sealOldValues } from './seal-old-values.ts';

const canary = 'canary-5f0e1c';
let folder: string;
let oldKey: Buffer;
const recordsFile = (): string => join(folder, 'records.sqlite');
const oldKeyFile = (): string => join(folder, 'secrets', 'functions-key');

/** As the version before encrypted them. */
function sealOld(text: string, functionId: string, name: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', oldKey, nonce).setAAD(Buffer.from(`function:${functionId}:${name}`));
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-sealing-'));
  oldKey = randomBytes(32);
  await mkdir(join(folder, 'secrets'), { mode: 0o700 });
  await writeFile(oldKeyFile(), `${oldKey.toString('hex')}\n`, { mode: 0o600 });
  const db = new DatabaseSync(recordsFile());
  migrateBefore(db, 'CREATE TABLE master_keys');
  db.exec("PRAGMA journal_mode = WAL; INSERT INTO teams VALUES ('t1', 'default', 1, 1)");
  const webhook = db.prepare("INSERT INTO webhooks VALUES (?, 't1', 'n', 'https://x.test/', 1, '[]', ?, 1)");
  for (let n = 0; n < 250; n++) webhook.run(`w${n}`, `${canary}-webhook-${n}`);
  // One that begins like an encrypted value, and one that was deleted and is still in a free page.
  webhook.run('tricky', `sb1.${canary}`);
  webhook.run('deleted', `${canary}-deleted`.repeat(300));
  db.exec("DELETE FROM webhooks WHERE id = 'deleted'");
  const insert = db.prepare(
    "INSERT INTO functions VALUES (?, 't1', ?, 'edge', ?, ?, '{}', '{}', '2026-01-01', '[]', 1, NULL, 1, 1)",
  );
  insert.run(
    'f1',
    'one',
    JSON.stringify({ A: `${canary}-variable` }),
    JSON.stringify({ S: sealOld('secret ✓', 'f1', 'S') }),
  );
  insert.run('f2', 'two', '{}', JSON.stringify({ S: sealOld('moved', 'f1', 'S') }));
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
  const sources = [fileMasterKeys(join(folder, 'secrets', 'master-key'))] as const;
  const keyring = await openKeyring({ records: opened.keyring, sources });
  return {
    records: opened,
    keyring,
    seal: async (records = opened) =>
      await sealOldValues({ records, keyring, secretsDirectory: join(folder, 'secrets'), logger: silentLogger }),
    async [Symbol.asyncDispose]() {
      keyring[Symbol.dispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}

/** The files in which the bytes of the canary are. */
async function findCanary(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    if ((await readFile(join(entry.parentPath, entry.name))).includes(canary)) found.push(entry.name);
  }
  return found;
}

async function checkValues({ records, keyring }: Opened): Promise<void> {
  const webhooks = await records.webhooks.list('t1');
  expect(webhooks).toHaveLength(251);
  for (const webhook of webhooks) {
    const { id } = webhook;
    const secret = (await keyring.open(webhook.sealedSecret, placeOfWebhookSecret(webhook))).reveal();
    expect(secret).toBe(id === 'tricky' ? `sb1.${canary}` : `${canary}-webhook-${id.slice(1)}`);
  }
  const one = await records.functions.find('one');
  const place = (row: string, field: string) => ({ table: 'functions', row, field, team: 't1' });
  const environment = await keyring.open(one?.sealedEnvironment ?? '', place('f1', 'environment'));
  expect(JSON.parse(environment.reveal())).toEqual({ A: `${canary}-variable` });
  expect((await keyring.open(one?.sealedSecrets['S'] ?? '', place('f1', 'secret:S'))).reveal()).toBe('secret ✓');
}

it('encrypts what the version before stored, and leaves no byte of it in any file, with the server running or not', async () => {
  expect(await findCanary()).toContain('records.sqlite');
  {
    await using opened = await start();
    await opened.seal();
    expect(await findCanary()).toEqual([]);
    await checkValues(opened);
  }
  expect(await findCanary()).toEqual([]);
  await expect(stat(oldKeyFile())).rejects.toThrow('ENOENT');
});

it('does nothing the second time', async () => {
  await using opened = await start();
  await opened.seal();
  const before = await opened.records.webhooks.list('t1');
  await opened.seal();
  expect(await opened.records.webhooks.list('t1')).toEqual(before);
});

it('keeps a secret that cannot be decrypted, so that its function reports it', async () => {
  await using opened = await start();
  await opened.seal();
  const sealed = (await opened.records.functions.find('two'))?.sealedSecrets['S'] ?? '';
  const place = { table: 'functions', row: 'f2', field: 'secret:S', team: 't1' };
  await expect(opened.keyring.open(sealed, place)).rejects.toMatchObject({ reason: 'state_damaged' });
});

it.each(['sealWebhook', 'sealFunction', 'finish'] as const)('continues after a crash at %s', async (step) => {
  let calls = 0;
  {
    await using opened = await start();
    const crashing: Records = {
      ...opened.records,
      sealing: {
        ...opened.records.sealing,
        [step]: async (...args: never[]) => {
          calls++;
          if (step !== 'sealWebhook' || calls === 120) throw new Error('killed');
          await (opened.records.sealing[step] as (...given: never[]) => Promise<unknown>)(...args);
        },
      },
    };
    await expect(opened.seal(crashing)).rejects.toThrow('killed');
    await stat(oldKeyFile());
  }
  await using opened = await start();
  await opened.seal();
  await checkValues(opened);
  expect(await findCanary()).toEqual([]);
});

it('encrypts the values also while another process reads the records, and removes the old ones later', async () => {
  {
    await using opened = await start();
    const reader = new DatabaseSync(recordsFile());
    reader.exec('BEGIN; SELECT count(*) FROM webhooks');
    reader.prepare('SELECT * FROM webhooks').get();
    try {
      await opened.seal();
      await checkValues(opened);
      await stat(oldKeyFile());
    } finally {
      reader.close();
    }
  }
  await using opened = await start();
  await opened.seal();
  expect(await findCanary()).toEqual([]);
}, 30_000);

it('refuses to start with a damaged key of the version before, and changes nothing of the functions', async () => {
  await writeFile(oldKeyFile(), 'short\n');
  await using opened = await start();
  await expect(opened.seal()).rejects.toThrow(/does not contain a key/);
  expect((await opened.records.functions.find('one'))?.sealedEnvironment).toBe('');
});

it('starts again after the loss of the master key, once the operator has given the secrets up as docs/secrets.md says', async () => {
  {
    await using opened = await start();
    await opened.seal();
  }
  await rm(join(folder, 'secrets', 'master-key'));
  await expect(start()).rejects.toMatchObject({ reason: 'master_key_missing' });
  const page = await readFile(join(import.meta.dirname, '../../../../docs/secrets.md'), 'utf8');
  const sql = /sqlite3 \S+ "([^"]+)"/.exec(page)?.[1] ?? '';
  const db = new DatabaseSync(recordsFile(), { enableForeignKeyConstraints: true });
  db.exec(sql);
  db.close();
  await using opened = await start();
  await opened.seal();
  const [webhook] = await opened.records.webhooks.list('t1');
  if (webhook === undefined) throw new Error('no webhook');
  const secret = await opened.keyring.open(webhook.sealedSecret, placeOfWebhookSecret(webhook));
  expect(secret.reveal()).toMatch(/^[0-9A-F]{64}$/);
  const one = await opened.records.functions.find('one');
  const place = { table: 'functions', row: 'f1', field: 'environment', team: 't1' };
  expect((await opened.keyring.open(one?.sealedEnvironment ?? '', place)).reveal()).toBe('{}');
  expect(one?.sealedSecrets).toEqual({});
});
