import { join } from 'node:path';
import { Sandbox, Template } from 'e2b';
import { expect, test } from 'vitest';
import { runCli, runNode } from './harness/cli.ts';
import { server } from './harness/server.ts';
import { folderWith, templateName } from './harness/build.ts';

const ourCli = join(import.meta.dirname, '../apps/cli/src/main.ts');
const cli = async (...args: string[]) => await runCli(args, server.plain);

test('the official CLI creates, lists, publishes and deletes a template', async () => {
  const name = templateName();
  const folder = await folderWith({
    Dockerfile: 'FROM e2bdev/base\nCOPY a.txt /opt/a.txt\nRUN wc -c < /opt/a.txt > /opt/size\n',
    'a.txt': 'five.',
  });
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

test('the official CLI tells what fails', async () => {
  const folder = await folderWith({ Dockerfile: 'FROM e2bdev/base\nRUN echo before; false\n' });
  const { code, stdout, stderr } = await cli('template', 'create', templateName(), '-p', folder);
  expect(code).toBe(1);
  expect(stdout + stderr).toContain("failed to run command 'echo before; false'");
});

test("our CLI builds, shows, tags and deletes one, and lists the server's own beside it", async () => {
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
  const listed = await soulbox('list');
  expect(listed).toContain(`default/${name}`);
  expect(listed).toMatch(/^base +/m);
  const sandbox = await Sandbox.create(`${name}:stable`);
  expect(await sandbox.files.read('/opt/a.txt')).toBe('five.');
  await sandbox.kill();
  expect(await soulbox('delete', name)).toBe(`Deleted ${name}.\n`);
});
