import { chmod, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, Sandbox, Template, waitForFile, waitForPort } from 'e2b';
import type { LogEntry, SandboxOpts } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { folderWith, templateName } from '../harness/build.ts';
import { until } from '../harness/until.ts';

const run = async (sandbox: Sandbox, command: string): Promise<string> =>
  (await sandbox.commands.run(command)).stdout.trim();

async function createFrom(template: string, options: SandboxOpts = {}): Promise<Sandbox> {
  const sandbox = await Sandbox.create(template, options);
  onTestFinished(async () => {
    await sandbox.kill();
  });
  return sandbox;
}

test('every step works, its result is in all sandboxes, and the started program runs there', async () => {
  const folder = await folderWith({
    'app/main.py': 'print("hi")',
    'app/deep/er/b.txt': 'b',
    'app/skip.log': 'no',
    '.dockerignore': '*.log\n**/*.log\n',
    'run.sh': '#!/bin/sh\necho ran\n',
    'one.txt': 'one',
  });
  await chmod(join(folder, 'run.sh'), 0o755);
  await symlink('main.py', join(folder, 'app/link.py'));
  const name = templateName();
  const serve =
    'WORD="$WORD" python3 -c "import http.server, os; print(os.environ[\'WORD\'])" > /tmp/word; exec python3 -m http.server 8000';
  const template = Template({ fileContextPath: folder })
    .fromBaseImage()
    .setEnvs({ WORD: 'walrus', PLACE: '/srv/place' })
    .copy('app', 'app')
    .copy('run.sh', '/opt/bin/run.sh', { user: 'root' })
    .copy('one.txt', '/opt/', { mode: 0o600 })
    .setUser('root')
    .setWorkdir('/srv')
    .runCmd(['mkdir -p "$PLACE"', 'echo "$WORD" > "$PLACE/word"', 'export LOST=1'])
    .runCmd('id -un > /tmp/who; pwd >> /tmp/who; echo "${LOST-unset}" >> /tmp/who', { user: 'user' })
    .makeDir('/srv/made', { mode: 0o700 })
    .makeSymlink('/srv/made', '/srv/linked')
    .runCmd('touch /srv/a /srv/b')
    .rename('/srv/a', '/srv/c')
    .remove('/srv/b')
    .setUser('builder')
    .setWorkdir('work')
    .setStartCmd(serve, waitForPort(8000));
  const lines: LogEntry[] = [];
  const built = await Template.build(template, name, {
    cpuCount: 1,
    memoryMB: 512,
    onBuildLogs: (line) => lines.push(line),
  });
  expect(lines.some(({ message }) => message.includes('Uploaded'))).toBe(true);

  const sandbox = await createFrom(name, { envs: { OWN: 'yes' } });
  expect(await sandbox.getInfo()).toMatchObject({ templateId: built.templateId, name, cpuCount: 1, memoryMB: 512 });
  // The start command was started in the build and continues in the sandbox: same process, no start after the create.
  expect(await run(sandbox, 'curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:8000/')).toBe('200');
  expect(await run(sandbox, 'cat /tmp/word')).toBe('walrus');
  expect(await run(sandbox, 'id -un; pwd; echo "${WORD-unset} ${OWN-unset}"')).toBe('builder\n/srv/work\nunset yes');
  expect(await run(sandbox, 'echo $E2B_TEMPLATE_ID $E2B_SANDBOX_ID')).toBe(`${built.templateId} ${sandbox.sandboxId}`);
  expect(await run(sandbox, 'cat /srv/place/word; cat /tmp/who')).toBe('walrus\nuser\n/srv\nunset');
  const listed = 'cd /home/user/app && find . -printf "%P %y %u\\n" | sort; readlink link.py';
  expect(await sandbox.commands.run(listed, { user: 'root' })).toMatchObject({
    stdout: ' d user\ndeep d user\ndeep/er d user\ndeep/er/b.txt f user\nlink.py l user\nmain.py f user\nmain.py\n',
  });
  const modes =
    'stat -c "%a %U" /opt/bin/run.sh /opt/one.txt /srv/made; readlink /srv/linked; ls /srv; /opt/bin/run.sh';
  expect((await sandbox.commands.run(modes, { user: 'root' })).stdout).toBe(
    '755 root\n600 user\n700 root\n/srv/made\nc\nlinked\nmade\nplace\nwork\nran\n',
  );

  const startedAt = Date.now();
  const again: string[] = [];
  const cached = await Template.build(template, name, {
    cpuCount: 1,
    memoryMB: 512,
    onBuildLogs: ({ message }) => again.push(message),
  });
  console.log(`a build of 16 steps of which all is known: ${String(Date.now() - startedAt)} ms`);
  expect(cached.templateId).toBe(built.templateId);
  expect(again.filter((line) => line.includes('already cached'))).toHaveLength(3);
  const second = await createFrom(name);
  expect(await run(second, 'curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:8000/; cat /tmp/word')).toBe(
    '200walrus',
  );
  // The earlier build lost its only tag. Its sandboxes continue.
  expect(await run(sandbox, 'cat /tmp/word')).toBe('walrus');
});

test('a Dockerfile works as with the official clients', async () => {
  const folder = await folderWith({ 'src/a.txt': 'content' });
  const dockerfile = `FROM e2bdev/base
ARG GREETING=hello
ENV A=1 B=two
WORKDIR /opt/app
COPY --chown=user:user src /opt/app/src
RUN echo "$GREETING $A $B" > greeting && ls src > list
EXPOSE 80
CMD ["touch", "/tmp/started"]
`;
  const name = templateName();
  // CMD waits 20 s. This does not.
  const template = Template({ fileContextPath: folder })
    .fromDockerfile(dockerfile)
    .setReadyCmd(waitForFile('/tmp/started'));
  await Template.build(template, name);
  const sandbox = await createFrom(name);
  expect(await run(sandbox, 'id -un; pwd; cat greeting list; stat -c %U src/a.txt')).toBe(
    'user\n/opt/app\nhello 1 two\na.txt\nuser',
  );
});

test.each<[string, (template: ReturnType<ReturnType<typeof Template>['fromBaseImage']>) => unknown, RegExp]>([
  ['a command', (template) => template.runCmd('echo out; exit 3'), /^failed to run command 'echo out; exit 3': .*3/],
  [
    'an unknown user',
    (template) => template.runCmd('whoami', { user: 'nobody-here' }),
    /^failed to run command 'whoami': command failed: unauthenticated: invalid username: 'nobody-here'/,
  ],
  ['a start command', (template) => template.setStartCmd('exit 7', 'false'), /./],
])('a failing %s ends the build with a reason that points to its call', async (_what, add, message) => {
  const name = templateName();
  const template = Template().fromBaseImage().runCmd('true');
  add(template);
  const failure: unknown = await Template.build(template, name).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(BuildError);
  expect((failure as BuildError).message).toMatch(message);
  expect((failure as BuildError).stack).toContain('build.test.ts');
  await expect(Sandbox.create(name)).rejects.toThrow(/^404/);
});

test('a background build is building at once, and ends when another build of its name starts', async () => {
  const name = templateName();
  const slow = Template().fromBaseImage().runCmd('sleep 60');
  const first = await Template.buildInBackground(slow, name);
  expect((await Template.getBuildStatus(first)).status).toBe('building');
  expect(await Template.exists(name)).toBe(true);
  const second = await Template.buildInBackground(Template().fromBaseImage().runCmd('echo quick'), name);
  const end = await until('the first is canceled', async () => {
    const status = await Template.getBuildStatus(first);
    return status.status === 'error' && status;
  });
  expect(end.reason?.message).toMatch(/canceled/);
  const done = await until(
    'the second is done',
    async () => {
      const status = await Template.getBuildStatus(second);
      return (status.status === 'ready' || status.status === 'error') && status;
    },
    30_000,
  );
  expect(done).toMatchObject({ status: 'ready' });
  const entries = done.logEntries.map(({ message }) => message);
  expect(entries.join('\n')).toContain('quick');
  const rest = await Template.getBuildStatus(second, { logsOffset: entries.length });
  expect(rest.logEntries).toEqual([]);
});

test('tags name builds, and templates based on templates inherit their start command', async () => {
  const [parent, child] = [templateName(), templateName()];
  const base = Template()
    .fromBaseImage()
    .setStartCmd('sh -c "echo $$ > /tmp/pid; exec sleep infinity"', waitForFile('/tmp/pid'));
  const { templateId, buildId } = await Template.build(base, `${parent}:v1`);
  expect(await Template.assignTags(`${parent}:v1`, 'stable')).toEqual({ buildId, tags: ['stable'] });
  expect((await Template.getTags(templateId)).map(({ tag }) => tag)).toEqual(['stable', 'v1']);
  await Template.removeTags(parent, 'v1');
  await expect(Sandbox.create(`${parent}:v1`)).rejects.toThrow(/^404/);
  await expect(Template.build(Template().fromTemplate(`${parent}:v1`), child)).rejects.toThrow(/^404/);

  await Template.build(Template().fromTemplate(`${parent}:stable`).runCmd('echo child > /tmp/child'), child);
  const sandbox = await createFrom(child);
  expect(await run(sandbox, 'cat /tmp/child; ps -o comm= -p $(cat /tmp/pid)')).toBe('child\nsleep');
  // The parent can be deleted: the child holds what it needs.
  expect((await askApi('DELETE', `/templates/${parent}`)).status).toBe(204);
  expect(await run(await createFrom(child), 'ps -o comm= -p $(cat /tmp/pid)')).toBe('sleep');
});

test('a template with sandboxes cannot be deleted', async () => {
  const name = templateName();
  await Template.build(Template().fromBaseImage(), name);
  const sandbox = await Sandbox.create(name);
  expect((await askApi('DELETE', `/templates/${name}`)).status).toBe(400);
  await sandbox.pause();
  expect((await askApi('DELETE', `/templates/${name}`)).status).toBe(400);
  await sandbox.kill();
  expect((await askApi('DELETE', `/templates/${name}`)).status).toBe(204);
  expect(await Template.exists(name)).toBe(false);
});

test('an unavailable image and an invalid base are reported as such', async () => {
  const name = templateName();
  const nowhere = Template().fromImage('127.0.0.1:1/none:latest');
  const failure: unknown = await Template.build(nowhere, name).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(BuildError);
  expect((failure as BuildError).message).toMatch(/127\.0\.0\.1/);
  await expect(Template.build(Template().fromTemplate('no-such-template'), name)).rejects.toThrow(/^404/);
  // Other templates are not affected.
  expect(await run(await createSandbox(), 'echo fine')).toBe('fine');
});

test('builds beyond the limit of the host wait for each other', async () => {
  const names = Array.from({ length: 4 }, () => templateName());
  const builds = await Promise.all(
    names.map(
      async (name) => await Template.buildInBackground(Template().fromBaseImage().runCmd(`echo ${name}`), name),
    ),
  );
  const ends = await Promise.all(
    builds.map(
      async (build) =>
        await until(
          `the build of ${build.name}`,
          async () => {
            const status = await Template.getBuildStatus(build);
            return (status.status === 'ready' || status.status === 'error') && status;
          },
          60_000,
        ),
    ),
  );
  expect(ends.map(({ status, reason }) => [status, reason?.message])).toEqual(names.map(() => ['ready', undefined]));
  expect(ends.some(({ logEntries }) => logEntries[0]?.message.startsWith('Waiting'))).toBe(true);
});
