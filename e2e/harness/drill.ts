import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import { makeTestDirectory, startServer, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Template } from 'e2b';
import { expect } from 'vitest';
import { server as shared } from './server.ts';
import { until } from './until.ts';

export interface Connection {
  readonly apiUrl: string;
  readonly sandboxUrl: string;
  readonly apiKey: string;
}

export function connectionOf({ clientEnvironment }: ServerProcess): Connection {
  return {
    apiUrl: clientEnvironment['E2B_API_URL'] ?? '',
    sandboxUrl: clientEnvironment['E2B_SANDBOX_URL'] ?? '',
    apiKey: clientEnvironment['E2B_API_KEY'] ?? '',
  };
}

/** A data folder that contains its templates, as an operator has it. Other tests keep templates outside. */
export async function makeWholeFolder(names: readonly string[] = ['base']): Promise<string> {
  const folder = await makeTestDirectory('drill-');
  await run('mkdir', ['-m', '700', join(folder, 'templates')]);
  for (const name of names) await copyTemplate(name, join(folder, 'templates'));
  return folder;
}

/** Copies one of the tests' templates into a folder of templates. */
export async function copyTemplate(name: string, folder: string): Promise<void> {
  const template = await openTemplateStore(testTemplatesDirectory, silentLogger).find(name);
  if (template === undefined) throw new Error(`there is no template ${name}`);
  await run('cp', ['-a', join(testTemplatesDirectory, template.templateId), folder]);
}

/** Starts a server on the folder. `instance` is its number on this host. */
export async function serve(dataDirectory: string, instance: number): Promise<ServerProcess> {
  const environment = {
    SOULBOX_ISOLATION: shared.isolation,
    SOULBOX_TEMPLATES_DIR: join(dataDirectory, 'templates'),
  };
  return await startServer({ instance, dataDirectory, poolSize: 1, environment });
}

/** A program that writes a secret from its memory when it is asked. */
const program = [
  'secret=$(head -c 8 /dev/urandom | od -An -tx1 | tr -d " \\n"); echo $secret > /tmp/new; mv /tmp/new /tmp/secret',
  'while true; do if [ -e /tmp/ask ]; then rm /tmp/ask; echo $secret > /tmp/new; mv /tmp/new /tmp/answer; fi; sleep 0.1; done',
].join('\n');

/** Fills the sandbox of the drill: memory, files, changed files of the template, watches. */
export async function fillSandbox(sandbox: Sandbox): Promise<void> {
  await sandbox.files.write('/home/user/kept.txt', `kept by ${sandbox.sandboxId}`);
  await sandbox.commands.run('echo changed >> /etc/motd; mkdir /usr/local/share/own; rm /etc/issue', { user: 'root' });
  await sandbox.files.write('/home/user/program.sh', program);
  await sandbox.commands.run('bash /home/user/program.sh', { background: true, timeoutMs: 0 });
  await sandbox.commands.run('tail -f /etc/passwd /home/user/kept.txt', { background: true, timeoutMs: 0 });
  await until('the program runs', async () => await sandbox.files.exists('/tmp/secret'));
}

/** Throws unless everything from `fillSandbox` is there, with its memory. `source` is the sandbox that it filled. */
export async function checkSandbox(sandbox: Sandbox, source: string): Promise<void> {
  expect(await sandbox.files.read('/home/user/kept.txt')).toBe(`kept by ${source}`);
  const look =
    'tail -n 1 /etc/motd; ls -d /usr/local/share/own /etc/passwd /usr/bin/env /etc/apt; ls /etc/issue || true';
  const { stdout } = await sandbox.commands.run(look, { user: 'root' });
  expect(stdout).toBe('changed\n/etc/apt\n/etc/passwd\n/usr/bin/env\n/usr/local/share/own\n');
  await sandbox.commands.run('rm -f /tmp/answer; touch /tmp/ask', { user: 'root' });
  await until('the program answers', async () => await sandbox.files.exists('/tmp/answer'));
  expect(await sandbox.files.read('/tmp/answer')).toBe(await sandbox.files.read('/tmp/secret'));
}

/** Resumes the sandbox and checks it, then pauses, resumes and checks it once more on this server. */
export async function checkPaused(sandboxId: string, connection: Connection): Promise<void> {
  const sandbox = await Sandbox.connect(sandboxId, connection);
  await checkSandbox(sandbox, sandboxId);
  await sandbox.files.write('/home/user/later.txt', 'later');
  await sandbox.pause();
  const again = await Sandbox.connect(sandboxId, connection);
  await checkSandbox(again, sandboxId);
  expect(await again.files.read('/home/user/later.txt')).toBe('later');
}

export interface World {
  readonly paused: string;
  readonly source: string;
  readonly snapshot: string;
}

/** A paused sandbox, a snapshot with memory, and a template that the team has built. */
export async function fillWorld(connection: Connection): Promise<World> {
  const sandbox = await Sandbox.create('base', { ...connection, timeoutMs: 600_000, metadata: { drill: 'yes' } });
  await fillSandbox(sandbox);
  const source = await Sandbox.create('base', { ...connection, timeoutMs: 600_000 });
  await fillSandbox(source);
  const { snapshotId } = await source.createSnapshot();
  await source.kill();
  const template = Template().fromBaseImage().runCmd('echo built > /opt/built', { user: 'root' });
  await Template.build(template, 'drill', connection);
  // More than is read before a pause ends. So the disk is recognized by its stamp, which a copy does not have.
  await sandbox.commands.run('head -c 270M /dev/urandom > /home/user/large');
  await sandbox.pause();
  return { paused: sandbox.sandboxId, source: source.sandboxId, snapshot: snapshotId };
}

export async function checkWorld({ paused, source, snapshot }: World, connection: Connection): Promise<void> {
  await checkPaused(paused, connection);
  const copy = await Sandbox.create(snapshot, connection);
  await checkSandbox(copy, source);
  await copy.kill();
  const built = await Sandbox.create('drill', connection);
  expect(await built.files.read('/opt/built')).toBe('built\n');
  await built.kill();
}

export async function endWorld(server: ServerProcess, { paused }: World): Promise<void> {
  await Sandbox.kill(paused, connectionOf(server));
  await server.stop();
  await removeTree(server.dataDirectory);
}
