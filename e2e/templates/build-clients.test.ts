import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createApiKey, openSqliteRecords } from '@soulbox/storage';
import { Sandbox, Template } from 'e2b';
import { Template as Template214 } from 'e2b-2.14';
import { Template as Template245 } from 'e2b-2.45';
import { expect, onTestFinished, test } from 'vitest';
import { folderWith, templateName } from '../harness/build.ts';
import { runCli, runNode } from '../harness/cli.ts';
import { server } from '../harness/server.ts';

const ourCli = join(import.meta.dirname, '../../apps/cli/src/main.ts');

const dockerfile = 'FROM e2bdev/base\nCOPY a.txt /opt/a.txt\nRUN wc -c < /opt/a.txt > /opt/size\n';

test('the official CLI creates, lists, publishes and deletes a template', async () => {
  const cli = async (...args: string[]) => await runCli(args, server.plain);
  const name = templateName();
  const folder = await folderWith({ Dockerfile: dockerfile, 'a.txt': 'five.' });
  const created = await cli('template', 'create', name, '-p', folder, '-c', 'sleep infinity', '--ready-cmd', 'true');
  expect(created.code, created.stdout + created.stderr).toBe(0);
  expect(created.stdout).toContain(name);
  const sandbox = await Sandbox.create(name);
  expect((await sandbox.commands.run('cat /opt/size')).stdout).toBe('5\n');

  const listed = await cli('template', 'list', '-f', 'json');
  expect(JSON.parse(listed.stdout)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ aliases: [name], buildStatus: 'ready', spawnCount: 1 }) as object,
    ]),
  );
  const { templateId } = await sandbox.getInfo();
  const published = await cli('template', 'publish', templateId, '-y');
  expect(published).toMatchObject({ code: 0, stdout: expect.stringContaining(`default/${name}`) as string });
  expect((await cli('template', 'unpublish', templateId, '-y')).code).toBe(0);

  const refused = await cli('template', 'delete', templateId, '-y');
  expect([refused.code, refused.stdout + refused.stderr]).toEqual([1, expect.stringContaining('running or paused')]);
  await sandbox.kill();
  expect((await cli('template', 'delete', templateId, '-y')).code).toBe(0);
  expect(await Template.exists(name)).toBe(false);
});

test('files are uploaded over TLS too', async () => {
  const name = templateName();
  const folder = await folderWith({ Dockerfile: dockerfile, 'a.txt': name });
  const { code, stdout, stderr } = await runCli(['template', 'create', name, '-p', folder], server.tls);
  expect(code, stdout + stderr).toBe(0);
  const sandbox = await Sandbox.create(name);
  expect(await sandbox.files.read('/opt/a.txt')).toBe(name);
  await sandbox.kill();
});

test('the official CLI reports what failed', async () => {
  const folder = await folderWith({ Dockerfile: 'FROM e2bdev/base\nRUN echo before; false\n' });
  const { code, stdout, stderr } = await runCli(['template', 'create', templateName(), '-p', folder], server.plain);
  expect(code).toBe(1);
  expect(stdout + stderr).toContain("failed to run command 'echo before; false'");
});

test("the soulbox CLI builds, shows, tags and deletes a template, and lists it beside the server's own", async () => {
  const name = templateName();
  const folder = await folderWith({
    Dockerfile: 'FROM e2bdev/base\nCOPY a.txt /opt/a.txt\nRUN echo built\n',
    'a.txt': 'five.',
  });
  const soulbox = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runNode([ourCli, 'template', ...args], server.plain);
    expect(code, stdout + stderr).toBe(0);
    return stdout + stderr;
  };
  expect(await soulbox('build', folder, `${name}:v1`)).toMatch(/^[a-z0-9]{20}\n[^]* RUN echo built\n/);
  await soulbox('tag', `${name}:v1`, 'stable');
  expect(await soulbox('show', name)).toMatch(/ready +stable, v1/);
  expect(await soulbox('show', 'base')).toMatch(/createdAt: +20[0-9-]+T[^]*ready +default +2 +1024 MiB +20/);
  const listed = await soulbox('list');
  expect(listed).toContain(`default/${name}`);
  expect(listed).toMatch(/^base +/m);
  const sandbox = await Sandbox.create(`${name}:stable`);
  expect(await sandbox.files.read('/opt/a.txt')).toBe('five.');
  await sandbox.kill();
  expect(await soulbox('delete', name)).toBe(`Deleted ${name}.\n`);
});

test('older clients build too', async () => {
  const [name245, name214] = [templateName(), templateName()];
  const folder = await folderWith({ 'a.txt': 'old' });
  await Template245.build(Template245({ fileContextPath: folder }).fromBaseImage().copy('a.txt', '/opt/'), name245);
  const template = Template214({ fileContextPath: folder })
    .fromTemplate(name245)
    .runCmd('echo more >> /opt/a.txt', { user: 'root' });
  await Template214.build(template, name214);
  const sandbox = await Sandbox.create(name214);
  expect(await sandbox.files.read('/opt/a.txt')).toBe('oldmore\n');
  await sandbox.kill();
});

test('another team creates its own sandboxes from a published template and sees nothing of the builder', async () => {
  const records = openSqliteRecords(join(server.dataDirectory, 'records.sqlite'));
  const team = { id: randomUUID(), name: 'guests', isDefault: false, createdAt: Date.now() };
  await records.teams.create(team);
  const apiKey = (await createApiKey(records, team, 'e2e')).key.reveal();
  await records[Symbol.asyncDispose]();
  const name = templateName();
  const { templateId } = await Template.build(
    Template().fromBaseImage().setEnvs({ HIDDEN: 'word' }).runCmd('true'),
    name,
  );
  await expect(Sandbox.create(`default/${name}`, { apiKey })).rejects.toThrow(/^404/);
  await expect(Sandbox.create(name, { apiKey })).rejects.toThrow(/^404/);

  const published = await runCli(['template', 'publish', templateId, '-y'], server.plain);
  expect(published.code).toBe(0);
  const theirs = await Sandbox.create(name, { apiKey });
  onTestFinished(async () => {
    await theirs.kill();
  });
  const { stdout } = await theirs.commands.run('env; echo $E2B_TEAM_ID $E2B_TEMPLATE_ID');
  expect(stdout).toContain(`${team.id} ${templateId}\n`);
  expect(stdout).not.toContain('HIDDEN');
  expect((await Sandbox.list({ apiKey }).nextItems()).map(({ sandboxId }) => sandboxId)).toEqual([theirs.sandboxId]);
  await expect(Sandbox.getInfo(theirs.sandboxId)).rejects.toThrow();
  await theirs.kill();
});
