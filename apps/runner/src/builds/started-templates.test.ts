import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import { testTemplatesDirectory } from '@soulbox/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBuildLab } from './testing/build-lab.ts';
import type { BuildLab } from './testing/build-lab.ts';
import { findTemplatesInUse } from '../registry/templates-in-use.ts';

let lab: BuildLab;
const made: string[] = [];
beforeAll(async () => {
  lab = await openBuildLab(2, { SOULBOX_BUILD_READY_SECONDS: '8' });
});
afterEach(async () => {
  await Promise.all(made.splice(0).map(async (sandboxId) => await lab.kill(sandboxId)));
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

/** The base template with a start command, in the store of the runner. */
async function addTemplate(facts: object): Promise<string> {
  const templateId = randomId(20);
  const base = join(testTemplatesDirectory, lab.baseId);
  const file = JSON.parse(await readFile(join(base, 'template.json'), 'utf8')) as object;
  const directory = join(lab.directory, 'templates', templateId);
  await mkdir(directory);
  await symlink(join(base, 'rootfs'), join(directory, 'rootfs'));
  const names = [`t-${templateId}`];
  await writeFile(join(directory, 'template.json'), JSON.stringify({ ...file, templateId, names, ...facts }));
  return templateId;
}

async function create(templateId: string): Promise<string> {
  const request = { teamId: 't1', templateId, timeoutSeconds: 300 };
  const { sandbox } = (await lab.runner().call('createSandbox', request)) as { sandbox: { sandboxId: string } };
  made.push(sandbox.sandboxId);
  return sandbox.sandboxId;
}

test('the process of the start command runs in every sandbox, and the command ran only once', async () => {
  const startCommand = 'date +%s%N >/tmp/began; exec python3 -m http.server 8000 --directory /tmp';
  const readyCommand = 'curl -sf http://localhost:8000/began';
  const templateId = await addTemplate({ startCommand, readyCommand });
  const [first, second] = await Promise.all([create(templateId), create(templateId)]);
  const sandboxes = [first, second, await create(templateId)];
  expect(new Set(sandboxes).size).toBe(3);
  const answers = await Promise.all(sandboxes.map(async (id) => await lab.ask(id, readyCommand)));
  expect(answers[0]).toMatch(/^\d+\n$/);
  expect(new Set(answers).size).toBe(1);
  expect(await lab.ask(first, 'echo $E2B_SANDBOX_ID $E2B_TEMPLATE_ID')).toBe(`${first} ${templateId}\n`);
  const listed = await lab.runner().call('listSnapshots', {});
  expect(listed['snapshots'] ?? []).toEqual([]);
});

test('a template that cannot be started reports the reason, and the next request tries again', async () => {
  const templateId = await addTemplate({ startCommand: 'sleep 1000', readyCommand: 'test -e /tmp/never' });
  for (let round = 0; round < 2; round++) await expect(create(templateId)).rejects.toThrow(/could not be started/);
  expect(await lab.leftovers()).toEqual([]);
});

test('only sandboxes keep a template in use, not the snapshot that the server keeps', async () => {
  const templateId = await addTemplate({ startCommand: 'true', readyCommand: 'true' });
  const sandboxId = await create(templateId);
  expect(await findTemplatesInUse(lab.directory)).toContain(templateId);
  await lab.kill(sandboxId);
  expect(await findTemplatesInUse(lab.directory)).not.toContain(templateId);
  await rm(join(lab.directory, 'templates', templateId), { recursive: true });
  await expect(create(templateId)).rejects.toThrow(/not found/);
});
