import assert from 'node:assert/strict';
import { join } from 'node:path';
import { makeTestDirectory } from '@soulbox/testing';
import { removeTree } from '@soulbox/base';
import { Sandbox } from 'e2b';
import type { Connection } from '../harness/drill.ts';
import { checkOut } from './checkout.ts';
import { RefusedFolder, startVersion } from './version.ts';
import type { RunningVersion } from './version.ts';

export interface UpgradeOptions {
  /** The other version: anything that git can resolve. */
  readonly reference: string;
  readonly instance: number;
  readonly port: number;
  readonly onProgress: (text: string) => void;
}

export interface UpgradeReport {
  readonly from: string;
  /**
   * Whether the other version accepts the folder again or refuses it. Both are correct. The message is for the reader.
   */
  readonly back: 'taken' | `refused: ${string}`;
}

/** Longer than the run. */
const timeoutMs = 1_800_000;
const repository = join(import.meta.dirname, '../..');

/**
 * Fills a data folder with one version, continues with this version, goes back, and returns to this version. Each
 * version must find everything that the other one left, and sandboxes must continue throughout. Throws what was lost.
 */
export async function runUpgrade({ reference, instance, port, onProgress }: UpgradeOptions): Promise<UpgradeReport> {
  await using other = await checkOut(reference);
  const dataDirectory = await makeTestDirectory('upgrade-data-');
  const place = { dataDirectory, instance, port };
  let server: RunningVersion | undefined;
  const change = async (root: string): Promise<Connection> => {
    await server?.stop({ keepSandboxes: true });
    server = undefined;
    server = await startVersion(root, place);
    return server.connection;
  };
  try {
    onProgress(`${other.commit} fills a folder`);
    const held = await fill(await change(other.root));
    onProgress('this version goes on with it');
    const here = await change(repository);
    await check(here, held);
    const late = await Sandbox.create('base', { ...here, timeoutMs });
    const back = await goBack(async () => {
      onProgress(`${other.commit} takes it back`);
      const there = await change(other.root);
      await check(there, held);
      assert.equal((await run(await Sandbox.connect(late.sandboxId, there), 'echo on')).trim(), 'on');
    });
    onProgress('this version goes on with it again');
    const again = await change(repository);
    await check(again, held);
    await wake(again, held);
    return { from: other.commit, back };
  } finally {
    await server?.stop({ keepSandboxes: false });
    await removeTree(dataDirectory);
  }
}

interface Held {
  readonly running: string;
  /** Pid of a program in it. */
  readonly pid: string;
  readonly paused: string;
  readonly snapshotId: string;
  readonly webhookId: string;
}

async function fill(connection: Connection): Promise<Held> {
  const start = async (): Promise<Sandbox> => await Sandbox.create('base', { ...connection, timeoutMs });
  const running = await start();
  const { pid } = await running.commands.run('sleep 55555', { background: true });
  const paused = await start();
  await paused.files.write('/home/user/kept', 'kept');
  await paused.commands.run('sleep 66666 >/dev/null 2>&1 &');
  await paused.pause();
  const { snapshotId } = await running.createSnapshot();
  const webhook = await ask(connection, 'POST', '/events/webhooks', {
    name: 'kept',
    url: 'https://example.com/hook',
    events: ['sandbox.lifecycle.created'],
    signatureSecret: 'x'.repeat(40),
  });
  const { id: webhookId } = webhook as { id: string };
  return { running: running.sandboxId, pid: String(pid), paused: paused.sandboxId, snapshotId, webhookId };
}

/** Checks that everything is there and that nothing was restarted. */
async function check(connection: Connection, { running, pid, paused, snapshotId, webhookId }: Held): Promise<void> {
  const sandbox = await Sandbox.connect(running, { ...connection, timeoutMs });
  assert.equal((await run(sandbox, 'pgrep -x sleep')).trim(), pid);
  assert.equal((await Sandbox.getInfo(paused, connection)).state, 'paused');
  const snapshots = await ask(connection, 'GET', '/snapshots');
  assert.ok(JSON.stringify(snapshots).includes(snapshotId), 'the snapshot is not listed');
  assert.ok(JSON.stringify(await ask(connection, 'GET', '/events/webhooks')).includes(webhookId), 'no webhook');
}

async function wake(connection: Connection, { paused, snapshotId }: Held): Promise<void> {
  const sandbox = await Sandbox.connect(paused, { ...connection, timeoutMs });
  assert.equal(await sandbox.files.read('/home/user/kept'), 'kept');
  assert.notEqual((await run(sandbox, 'pgrep -f "sleep 66666"')).trim(), '');
  const copy = await Sandbox.create(snapshotId, { ...connection, timeoutMs });
  assert.notEqual((await run(copy, 'pgrep -x sleep')).trim(), '');
}

async function goBack(work: () => Promise<void>): Promise<UpgradeReport['back']> {
  try {
    await work();
    return 'taken';
  } catch (thrown) {
    if (!(thrown instanceof RefusedFolder)) throw thrown;
    return `refused: ${thrown.message.trim()}`;
  }
}

async function run(sandbox: Sandbox, command: string): Promise<string> {
  return (await sandbox.commands.run(command)).stdout;
}

async function ask({ apiUrl, apiKey }: Connection, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${apiUrl}${path}`, {
    method,
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return await answer.json();
}
