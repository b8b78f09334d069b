import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { functions, Sandbox, templates } from 'soulbox';
import { folder } from 'soulbox/node';
import { expect, onTestFinished, test } from 'vitest';
import { hasTemplate } from '../harness/template.ts';
import '../harness/server.ts';

test('a sandbox is exported and imported as a snapshot, with its files', { timeout: 60_000 }, async () => {
  await using sandbox = await Sandbox.create();
  await sandbox.files.write('exported.txt', 'kept');
  const imported = await Sandbox.import(sandbox.export());
  onTestFinished(async () => {
    await Sandbox.deleteSnapshot(imported.snapshotId);
  });
  expect(imported).toMatchObject({ hasMemory: false, memoryLeftOut: '' });
  await using copy = await Sandbox.create(imported.snapshotId);
  expect(await copy.files.read('exported.txt')).toBe('kept');
  const damaged = Sandbox.import(new Blob(['no export']));
  await expect(damaged).rejects.toMatchObject({ name: 'SoulBoxError', code: 'invalid_argument' });
});

test('templates are built, started and removed', { timeout: 60_000 }, async () => {
  const name = `sdk-${crypto.randomUUID().slice(0, 8)}`;
  const lines: string[] = [];
  const local = await mkdtemp(join(tmpdir(), 'soulbox-sdk-files-'));
  onTestFinished(async () => await removeTree(local));
  await mkdir(join(local, 'app'));
  await writeFile(join(local, 'app/run.sh'), 'echo "$1"', { mode: 0o755 });
  const { templateId } = await templates.build({
    ...{ name, files: folder(local) },
    steps: [
      { type: 'COPY', args: ['app', '/home/user/app'] },
      { type: 'RUN', args: ['app/run.sh built > built.txt'] },
    ],
    onLog: ({ message }) => void lines.push(message),
  });
  await using made = await Sandbox.create(name);
  expect(await made.files.read('built.txt')).toBe('built\n');
  expect((await templates.list().nextItems()).map(({ templateID }) => templateID)).toContain(templateId);
  await made.kill();
  expect([await templates.delete(name), await templates.delete(name)]).toEqual([true, false]);
  const broken = templates.build({ name, steps: [{ type: 'RUN', args: ['exit 3'] }] });
  await expect(broken).rejects.toMatchObject({ reason: 'build_failed' });
  await templates.delete(name);
});

test.skipIf(!(await hasTemplate('edge')))('functions are deployed and invoked', { timeout: 60_000 }, async () => {
  const name = `sdk-${crypto.randomUUID().slice(0, 8)}`;
  onTestFinished(async () => {
    await functions.delete(name);
  });
  const source =
    'export default { async fetch(r, env) { return new Response(env.WORD + await r.text(), { status: 201 }) } }';
  expect(await functions.deploy({ name, source, environment: { WORD: 'ö ' } })).toMatchObject({ activeVersion: 1 });
  const answer = await functions.invoke(name, new Request('http://x/path', { method: 'POST', body: 'ä' }));
  expect([answer.status, await answer.text()]).toEqual([201, 'ö ä']);
  expect((await functions.list()).map((each) => each.name)).toContain(name);
  expect(await (await fetch(functions.url(name))).text()).toBe('ö ');
});
