import { execFileSync } from 'node:child_process';
import { release } from 'node:os';
import { randomUUID } from 'node:crypto';
import { Sandbox, Template } from 'e2b';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { isThere } from '@soulbox/testing';
import { askApi } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

/** The isolation that is not the default of the server. */
const other = server.isolation === 'container' ? 'gvisor' : 'container';
const hasBoth = isThere('gVisor (runsc)', runs('runsc', '--version'));

function runs(...[command, ...args]: [string, ...string[]]): boolean {
  try {
    execFileSync(command, args);
    return true;
  } catch {
    return false;
  }
}

const shownOf = async (sandboxId: string): Promise<unknown> =>
  ((await askApi('GET', `/sandboxes/${sandboxId}`)).json as { isolation: string }).isolation;

/** The isolation according to the kernel inside, not according to the server. */
async function wallOf(sandbox: Sandbox): Promise<string> {
  const { stdout } = await sandbox.commands.run('uname -r');
  return stdout.trim() === release() ? 'container' : 'gvisor';
}

async function expectWall(sandbox: Sandbox, wall: string): Promise<void> {
  expect([await wallOf(sandbox), await shownOf(sandbox.sandboxId)]).toEqual([wall, wall]);
}

describe.skipIf(!hasBoth)('the official client chooses the isolation', () => {
  test('by metadata, and copies inherit it', { timeout: 120_000 }, async () => {
    await expectWall(await createSandbox(), server.isolation);
    const sandbox = await createSandbox({ metadata: { 'soulbox.isolation': other } });
    await expectWall(sandbox, other);
    const [copy] = await sandbox.fork();
    if (copy === undefined || copy instanceof Error) throw new Error('no copy', { cause: copy });
    onTestFinished(async () => {
      await copy.kill();
    });
    await expectWall(copy, other);
    const listed = await Sandbox.list({ query: { metadata: { 'soulbox.isolation': other } } }).nextItems();
    expect(listed.map(({ sandboxId }) => sandboxId)).toContain(sandbox.sandboxId);
  });

  test.each(['headers', 'apiHeaders'])('by a header in its option %s', { timeout: 120_000 }, async (option) => {
    await expectWall(await createSandbox({ [option]: { 'X-Soulbox-Isolation': other } }), other);
  });

  test('by its key', { timeout: 120_000 }, async () => {
    const made = await askApi('POST', '/api-keys', { name: 'walled', isolation: other });
    const { key, id } = made.json as { key: string; id: string };
    onTestFinished(async () => {
      await askApi('DELETE', `/api-keys/${id}`);
    });
    await expectWall(await createSandbox({ apiKey: key }), other);
    const said = { apiKey: key, metadata: { 'soulbox.isolation': server.isolation } };
    await expectWall(await createSandbox(said), server.isolation);
  });
});

describe('a snapshot of one isolation', () => {
  let snapshotId: string;
  beforeAll(async () => {
    const sandbox = await Sandbox.create();
    ({ snapshotId } = await sandbox.createSnapshot());
    await sandbox.kill();
    return async () => {
      await Sandbox.deleteSnapshot(snapshotId);
    };
  });

  test('is not started with another: the create is refused, and no sandbox is created', async () => {
    const metadata = { 'soulbox.isolation': other, test: randomUUID() };
    await expect(Sandbox.create(snapshotId, { metadata })).rejects.toThrow(
      `saved with the isolation "${server.isolation}"`,
    );
    expect(await Sandbox.list({ query: { metadata } }).nextItems()).toEqual([]);
    const own = await Sandbox.create(snapshotId, { metadata: { 'soulbox.isolation': server.isolation } });
    onTestFinished(async () => {
      await own.kill();
    });
    await expectWall(own, server.isolation);
  });
});

describe.skipIf(!hasBoth)('a template that is built with an isolation', () => {
  test('has only sandboxes with this isolation', { timeout: 180_000 }, async () => {
    const name = `walled-${randomUUID().slice(0, 8)}`;
    const template = Template().fromBaseImage().runCmd('uname -r > /tmp/kernel');
    const built = await Template.build(template, name, { apiHeaders: { 'X-Soulbox-Isolation': other } });
    onTestFinished(async () => {
      await askApi('DELETE', `/templates/${built.templateId}`);
    });
    const sandbox = await Sandbox.create(name);
    onTestFinished(async () => {
      await sandbox.kill();
    });
    await expectWall(sandbox, other);
    const kernel = await sandbox.files.read('/tmp/kernel');
    expect(kernel.trim() === release()).toBe(other === 'container');
    const options = { metadata: { 'soulbox.isolation': server.isolation } };
    await expect(Sandbox.create(name, options)).rejects.toThrow(`saved with the isolation "${other}"`);
  });
});

test.each(['vm', 'gVisor', ''])('an isolation %j is refused with the list of valid ones', async (isolation) => {
  const refused = Sandbox.create({ metadata: { 'soulbox.isolation': isolation } });
  await expect(refused).rejects.toThrow(/^400: .*container or gvisor/);
});
