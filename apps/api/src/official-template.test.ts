import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Sandbox, Template, TemplateError, waitForPort } from 'e2b';
import type { LogEntry } from 'e2b';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runnerSide } from './testing/build-template.ts';
import { startTestApi, until } from './testing/test-api.ts';
import type { TestApi } from './testing/test-api.ts';

let api: TestApi;
let folder: string;
let options: { apiKey: string; apiUrl: string; domain: string };
beforeEach(async () => {
  api = await startTestApi();
  options = { apiKey: api.key, apiUrl: api.url, domain: 'sandbox.test' };
  folder = await mkdtemp(join(tmpdir(), 'soulbox-template-'));
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** The runner's side of the next build. */
async function nextBuild() {
  const known = api.runner.builds.size;
  await until(() => api.runner.builds.size > known);
  const build = [...api.runner.builds.values()].at(-1);
  if (build === undefined) throw new Error('no build');
  return build;
}

describe('the unmodified e2b client', () => {
  it('builds with every step, uploads missing files once, and shows the log', async () => {
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'src', 'a.txt'), 'content');
    await writeFile(join(folder, '.dockerignore'), 'ignored\n');
    const template = Template({ fileContextPath: folder })
      .fromBaseImage()
      .setEnvs({ A: '1' })
      .copy('src', '/app', { user: 'root', mode: 0o755 })
      .setWorkdir('/app')
      .setUser('root')
      .runCmd(['echo one', 'echo two'], { user: 'user' })
      .makeDir('/d', { mode: 0o700 })
      .aptInstall('jq')
      .setStartCmd('serve', waitForPort(8000));
    const lines: LogEntry[] = [];
    const name = { tags: ['v1', 'v2'], cpuCount: 4, memoryMB: 512, onBuildLogs: (line: LogEntry) => lines.push(line) };
    const building = Template.build(template, 'mine', { ...options, ...name });
    const runner = await nextBuild();
    for (let n = 0; n < 250; n++) runner.log(`line ${n}`, { step: '1' });
    runner.finish();
    const built = await building;
    expect(built).toMatchObject({ name: 'mine', tags: ['v1', 'v2'] });
    expect(lines.map((line) => line.message).filter((line) => line.startsWith('line'))).toHaveLength(250);
    expect(runner.request).toMatchObject({
      base: { case: 'image', value: { reference: 'e2bdev/base' } },
      ...{ cpuCount: 4, memoryMb: 512, startCommand: 'serve', readyCommand: '[ -n "$(ss -Htuln sport = :8000)" ]' },
    });
    expect(runner.request.steps.map(({ type, args }) => [type, ...args].join(' '))).toEqual([
      ...['ENV A 1', 'COPY src /app root 0755', 'WORKDIR /app', 'USER root', 'RUN echo one && echo two user'],
      ...['RUN mkdir -p -m 0700 /d', expect.stringMatching(/^RUN apt-get update && .* jq root$/) as string],
    ]);
    const { filesBlobKey = '' } = runner.request.steps[1] ?? {};
    expect((await api.files.stat(filesBlobKey))?.sizeBytes).toBeGreaterThan(50);

    const again = await Template.buildInBackground(template, 'mine:v3', { ...options, onBuildLogs: name.onBuildLogs });
    expect(lines.map((line) => line.message)).toContain("Skipping upload of 'src', already cached");
    expect((await Template.getBuildStatus(again, options)).status).toBe('building');
    (await runnerSide(api, again.buildId)).finish();
    await until(async () => (await Template.getBuildStatus(again, options)).status === 'ready');
    const sandbox = await Sandbox.create('mine:v3', options);
    expect((await sandbox.getInfo()).templateId).toBe(built.templateId);
  });

  it('reports which step failed by pointing at its call', async () => {
    const template = Template().fromBaseImage().runCmd('true').runCmd('false');
    const building = Template.build(template, 'mine', options);
    const failing = expect(building).rejects.toThrow(
      expect.objectContaining({
        name: 'BuildError',
        message: 'it went wrong',
        stack: expect.stringContaining('official-template') as string,
      }) as Error,
    );
    (await nextBuild()).fail('it went wrong', '2');
    await failing;
    await expect(Template.build(template, 'Not A Name', options)).rejects.toThrow(BuildError);
  });

  it('builds from a Dockerfile and from another template', async () => {
    const dockerfile = 'FROM debian:stable\nARG X\nENV A=1 B=2\nRUN echo hi\nEXPOSE 80\nCMD ["serve", "it"]\n';
    const building = Template.build(Template({ fileContextPath: folder }).fromDockerfile(dockerfile), 'mine', options);
    const runner = await nextBuild();
    runner.finish();
    await building;
    expect(runner.request).toMatchObject({ startCommand: 'serve it', readyCommand: 'sleep 20' });
    expect(runner.request.steps.map(({ type, args }) => [type, ...args].join(' '))).toEqual([
      ...['USER root', 'WORKDIR /', 'ENV X ', 'ENV A 1 B 2', 'RUN echo hi', 'USER user', 'WORKDIR /home/user'],
    ]);
    const child = Template.build(Template().fromTemplate('mine').runCmd('true'), 'child', {
      ...options,
      skipCache: true,
    });
    const second = await nextBuild();
    expect(second.request).toMatchObject({ force: true, startCommand: 'serve it', base: { case: 'baseBuildId' } });
    second.finish();
    await child;
  });

  it('checks whether a name exists, and moves tags', async () => {
    expect(await Template.exists('mine', options)).toBe(false);
    const building = Template.build(Template().fromBaseImage(), 'mine:v1', options);
    (await nextBuild()).finish();
    const { templateId, buildId } = await building;
    expect(await Template.exists('mine', options)).toBe(true);
    expect(await Template.assignTags('mine:v1', ['stable', 'latest'], options)).toEqual({
      ...{ buildId, tags: ['stable', 'latest'] },
    });
    await Template.removeTags('mine', 'latest', options);
    expect((await Template.getTags(templateId, options)).map(({ tag }) => tag)).toEqual(['stable', 'v1']);
    await expect(Template.removeTags('mine', 'latest', options)).rejects.toThrow(TemplateError);
    await expect(Template.assignTags('mine:nope', 'x', options)).rejects.toThrow(/^404/);
    const theirs = { ...options, apiKey: api.otherKey };
    expect(await Template.exists('mine', theirs)).toBe(false);
    // A private template of another team looks like a missing one.
    expect(await Template.exists('default/mine', theirs)).toBe(false);
  });
});
