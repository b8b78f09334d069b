import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const sandbox = sharedSandbox({ timeoutMs: 300_000 });
let folder: string;

const cli = async (...args: string[]): Promise<Output> => await runNode([cliMain, 'sandbox', ...args], server.plain);
const inside = async (command: string, user = 'user'): Promise<string> =>
  (await sandbox().commands.run(command, { user })).stdout;
const there = (path: string): string => `${sandbox().sandboxId}:${path}`;
const parts = 'find /tmp /home/user -name ".soulbox-cp-*" | wc -l';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-cp-'));
});
afterAll(async () => {
  await removeTree(folder);
});

/** Kind, mode, size, time, target and name of everything, and the contents of files. */
const fingerprint = `LC_ALL=C find . -printf '%y %m %Ts %l %p\\0' | sort -z | sha256sum; find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`;

async function fingerprintHere(path: string): Promise<string> {
  const child = spawn('sh', ['-c', fingerprint], { cwd: path, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await once(child, 'close');
  return text;
}

/** The kernel of gVisor does not tell where a file has holes: tar there reads all their zeros. */
const tellsHoles = server.isolation !== 'gvisor';

test('a folder goes in and comes out as it was: 5,000 files, names of any bytes, holes, links, modes, times', async () => {
  const source = join(folder, 'source');
  for (let index = 0; index < 50; index++) {
    await mkdir(join(source, `d${index}`), { recursive: true });
    for (let file = 0; file < 100; file++) await writeFile(join(source, `d${index}/f${file}`), `${index} ${file}`);
  }
  await writeFile(Buffer.concat([Buffer.from(`${source}/`), Buffer.from('bad\xff\n"', 'latin1')]), 'odd');
  await writeFile(join(source, '-rf'), 'dash', { mode: 0o640 });
  await symlink('/etc/passwd', join(source, 'out'));
  await symlink('../../..', join(source, 'd0/up'));
  await mkdir(join(source, 'd1/closed'), { mode: 0o500 });
  const hole = (tellsHoles ? 5120 : 100) * 2 ** 20;
  const make = `truncate -s ${hole} holes; printf end >>holes; mkfifo pipe; ln -- -rf hard; touch -d 2001-02-03 d2 holes`;
  await once(spawn('sh', ['-c', make], { cwd: source }), 'close');

  const usedMib = async (): Promise<number> => Number((await inside('df --output=used -m / | tail -1')).trim());
  const usedBefore = await usedMib();
  const sent = await cli('cp', source, there('/tmp/arrived'), '--json');
  expect(sent, sent.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining('1 devices') as string });
  expect(JSON.parse(sent.stdout)).toMatchObject({ files: 5004, folders: 52, links: 2, skipped: 1 });
  expect((await usedMib()) - usedBefore).toBeLessThan(80);
  expect((await inside('cd /tmp/arrived && stat -c %h hard && cat < -rf')).split('\n')).toEqual(['2', 'dash']);
  await removeTree(join(source, 'pipe'));
  expect(await inside(`rm -f /tmp/none; cd /tmp/arrived && stat -c %a d1/closed`)).toBe('500\n');

  await inside('mkfifo /tmp/arrived/pipe');
  const received = await cli('cp', there('/tmp/arrived'), join(folder, 'back'));
  expect(received, received.stderr).toMatchObject({ code: 0 });
  // Nobody hashes 5 GiB of zeros.
  expect((await stat(join(folder, 'back/holes'))).size).toBe(hole + 3);
  if (tellsHoles) expect((await stat(join(folder, 'back/holes'))).blocks).toBeLessThan(1000);
  for (const root of [source, join(folder, 'back')]) await removeTree(join(root, 'holes'));
  // Their times are those of the removal now.
  for (const root of [source, join(folder, 'back')]) await once(spawn('touch', ['-d', '2001-01-01', root]), 'close');
  expect(await fingerprintHere(join(folder, 'back'))).toBe(await fingerprintHere(source));
  expect(await inside(parts)).toBe('0\n');
}, 90_000);

test('files, standard input and output, and paths as in cp', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'one');
  await inside('mkdir -p /tmp/names && ln -s /tmp/names /tmp/link');
  expect((await cli('cp', file, there('/tmp/link'))).code).toBe(0);
  const piped = await runNode([cliMain, 'sandbox', 'cp', '-', there('~/piped')], server.plain, 'a\0b\r\n');
  expect(piped, piped.stderr).toMatchObject({ code: 0 });
  expect(await cli('cat', there('piped'))).toMatchObject({ code: 0, stdout: 'a\0b\r\n' });
  expect(await inside('cat /tmp/names/file')).toBe('one');
  expect((await cli('cp', `${folder}/file/`, there('/tmp'))).code).toBe(2);
  expect(await cli('cp', file, there('/tmp/nowhere/x'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('/tmp/nowhere/ does not exist') as string,
  });
  expect(await cli('cp', file, there('/root/x'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('(forbidden)') as string,
  });
  expect(await cli('cat', there('/none'))).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('/none') as string,
  });
  expect(await cli('cp', there('/tmp/names'), file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('not_a_directory') as string,
  });
  // A folder of root, in which everybody may write.
  await mkdir(join(folder, 'contents'));
  await writeFile(join(folder, 'contents/of-it'), 'two');
  const shared = await cli('cp', `${folder}/contents/.`, there('/tmp'));
  expect(shared, shared.stderr).toMatchObject({ code: 0 });
  expect(await inside('cat /tmp/of-it && stat -c %a /tmp')).toBe('two1777\n');
  await symlink('contents', join(folder, 'a-link'));
  expect((await cli('cp', join(folder, 'a-link'), there('/tmp/names'))).code).toBe(0);
  expect((await cli('cp', join(folder, 'a-link/'), there('/tmp/names/followed'))).code).toBe(0);
  expect(await inside('cd /tmp/names && readlink a-link && cat followed/of-it')).toBe('contents\ntwo');
}, 60_000);

test('a full disk of the sandbox is named, and leaves the old file', async () => {
  await writeFile(join(folder, 'big'), Buffer.alloc(24 * 1024 * 1024, 'x'));
  // The disk may grow while it is filled, and for some seconds afterwards, until it has its full size.
  const free = '$(df --output=avail --block-size=1 /tmp | tail -1)';
  const fill = `n=0; calm=0; while [ $calm -lt 3 ]; do sleep 1; calm=$((calm + 1)); free=${free}
    if [ "$free" -gt 16777216 ]; then calm=0; fallocate --length $((free - 10485760)) /tmp/fill.$((n += 1)); fi; done`;
  await inside(`mkdir /tmp/full && echo old >/tmp/full/big; ${fill}`);
  const refused = await cli('cp', join(folder, 'big'), there('/tmp/full/big'));
  expect(refused, refused.stderr).toMatchObject({ code: 1, stderr: expect.stringContaining('(disk_full)') as string });
  expect(await inside('rm /tmp/fill.*; cat /tmp/full/big; ls -A /tmp/full')).toBe('old\nbig\n');
}, 60_000);

test('cut connections cost time and nothing else', async () => {
  const { port } = new URL(server.plain['E2B_SANDBOX_URL'] ?? '');
  await using proxy = await startFaultProxy(Number(port));
  const through = { ...server.plain, E2B_SANDBOX_URL: `http://127.0.0.1:${proxy.port}` };
  const bytes = Buffer.alloc(20 * 1024 * 1024, 'soulbox');
  await writeFile(join(folder, 'cut'), bytes);
  proxy.setFault((n) =>
    n % 3 === 1 ? { kind: 'cut', direction: 'up', afterBytes: 2_000_000, reset: true } : { kind: 'none' },
  );
  const sent = await runNode([cliMain, 'sandbox', 'cp', join(folder, 'cut'), there('/tmp/cut')], through);
  expect(sent, sent.stderr).toMatchObject({ code: 0 });
  proxy.setFault((n) => (n < 20 ? { kind: 'cut', afterBytes: 3_000_000, reset: true } : { kind: 'none' }));
  const received = await runNode([cliMain, 'sandbox', 'cp', there('/tmp/cut'), join(folder, 'uncut')], through);
  expect(received, received.stderr).toMatchObject({ code: 0 });
  const hash = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
  expect(hash(await readFile(join(folder, 'uncut')))).toBe(hash(bytes));
  expect(proxy.accepted).toBeGreaterThan(8);
}, 60_000);

test('Ctrl-C leaves nothing half, on either side', async () => {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, ...server.plain };
  const start = (...args: string[]) =>
    spawn(nodeProgram, [cliMain, 'sandbox', 'cp', ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const sending = start('-', there('/tmp/never'));
  sending.stdin.on('error', () => undefined);
  sending.stdin.write(Buffer.alloc(10 * 1024 * 1024));
  await until('parts inside', async () => (await inside(parts)) !== '0\n');
  sending.kill('SIGINT');
  expect(await once(sending, 'exit')).toEqual([130, null]);
  await until('no parts', async () => (await inside(parts)) === '0\n');
  expect(await inside('ls /tmp/never 2>&1 || true')).toContain('No such file');

  await mkdir(join(folder, 'into'));
  await inside('mkdir -p /tmp/endless && head -c 200M /dev/zero >/tmp/endless/b');
  const receiving = start(there('/tmp/endless/b'), join(folder, 'into'));
  await until('a part here', async () => (await readdir(join(folder, 'into'))).length > 0);
  receiving.kill('SIGINT');
  expect(await once(receiving, 'exit')).toEqual([130, null]);
  expect(await readdir(join(folder, 'into'))).toEqual([]);
  await until('no tar inside', async () => (await inside('pgrep -c "^tar$" || true')).trim() === '0');
}, 60_000);

test('sync sends what has changed and removes what is gone, except what is ignored', async () => {
  const project = join(folder, 'project');
  await mkdir(join(project, 'src'), { recursive: true });
  await mkdir(join(project, 'build'), { recursive: true });
  for (const [name, text] of [
    ...[['.gitignore', 'build/\n*.log\n'] as const, ['a', 'a'] as const, ['x.log', 'log'] as const],
    ...[['src/b', 'b'] as const, ['build/out', 'out'] as const],
  ])
    await writeFile(join(project, name), text);
  const sync = async (...flags: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await cli('sync', project, there('/tmp/project'), '--json', ...flags);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  expect(await sync()).toEqual({ sent: 3, deleted: 0, unchanged: 0, vanished: 0 });
  const [relative, file] = [
    await cli('sync', join(folder, 'contents'), `${sandbox().sandboxId}:of-it/`, '--json'),
    await cli('sync', project, there('/tmp/project/a')),
  ];
  expect(relative, relative.stderr).toMatchObject({ code: 0 });
  // Its file has the name of the folder.
  expect(
    JSON.parse((await cli('sync', join(folder, 'contents'), `${sandbox().sandboxId}:of-it`, '--json')).stdout),
  ).toEqual({ sent: 0, deleted: 0, unchanged: 1, vanished: 0 });
  expect(file).toMatchObject({ code: 1, stderr: expect.stringContaining('not_a_directory') as string });
  expect(await sync()).toEqual({ sent: 0, deleted: 0, unchanged: 3, vanished: 0 });
  // The same size and time, with other contents: found by its contents alone.
  await inside('cd /tmp/project && printf z >z && touch -r a z && mv z a && touch src/b');
  expect(await sync('--checksum')).toEqual({ sent: 1, deleted: 0, unchanged: 2, vanished: 0 });
  expect(await inside('cat /tmp/project/a')).toBe('a');
  await inside('cd /tmp/project && rm a && mkdir a build && touch build/own a/inside old && rm -rf src && touch src');
  await writeFile(join(project, 'src/b'), 'longer');
  expect((await cli('sync', project, there('/tmp/project'))).stderr).toContain('--delete');
  expect(await sync('--delete')).toEqual({ sent: 2, deleted: 1, unchanged: 1, vanished: 0 });
  expect((await inside('cd /tmp/project && find . -type f | sort')).split('\n')).toEqual([
    ...['./.gitignore', './a', './build/own', './src/b', ''],
  ]);
}, 60_000);

test('ls and edit work on files of the sandbox, and an edit does not replace what has changed meanwhile', async () => {
  await inside(
    'mkdir /tmp/edit && cd /tmp/edit && echo one >file && chmod 600 file && touch "$(printf "bad\\377\\033[31m")"',
  );
  const listed = await cli('ls', there('/tmp/edit'), '--json');
  expect(JSON.parse(listed.stdout)).toMatchObject([
    { nameBase64: Buffer.from('bad\xff\x1b[31m', 'latin1').toString('base64') },
    { name: 'file', kind: 'file', mode: '0600', size: 4, owner: 'user' },
  ]);
  expect((await cli('ls', there('/tmp/edit'))).stdout).not.toContain('\x1b');
  const edit = async (editor: string, name = 'file'): Promise<Output> =>
    await runNode([cliMain, 'sandbox', 'edit', there(`/tmp/edit/${name}`)], {
      ...server.plain,
      EDITOR: editor,
      TMPDIR: folder,
    });
  expect(await edit('sed -i s/one/two/')).toMatchObject({ code: 0 });
  expect(await inside('cd /tmp/edit && stat -c %a file && cat file')).toBe('600\ntwo\n');
  // The editor itself changes the file inside, by another client.
  const editor = join(folder, 'editor');
  const client = `${nodeProgram} ${cliMain} sandbox cp - ${there('/tmp/edit/file')}`;
  await writeFile(editor, `#!/bin/sh\necho meanwhile | ${client}\necho three >"$1"\n`, { mode: 0o755 });
  expect(await edit(editor)).toMatchObject({ code: 1, stderr: expect.stringContaining('Your text is in') as string });
  expect(await inside('cat /tmp/edit/file')).toBe('meanwhile\n');
  // An editor that fails after it has saved.
  await writeFile(editor, '#!/bin/sh\necho four >"$1"; exit 3\n');
  const failed = await edit(editor, 'new');
  const [, draft = ''] = /Your text is in (\S+)\.\n/.exec(failed.stderr) ?? [];
  expect([failed.code, await readFile(draft, 'utf8')]).toEqual([1, 'four\n']);
}, 60_000);

test('Ctrl-C in the editor is for the editor', async () => {
  const editor = join(folder, 'slow-editor');
  await writeFile(editor, `#!/bin/sh\n: >${folder}/opened\nsleep 0.5\necho typed >"$1"\n`, { mode: 0o755 });
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, TMPDIR: folder, ...server.plain, EDITOR: editor };
  const child = spawn(nodeProgram, [cliMain, 'sandbox', 'edit', there('/tmp/slow')], { env, stdio: 'ignore' });
  const ended = once(child, 'exit');
  await until('the editor', async () => (await readdir(folder)).includes('opened'));
  child.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
  expect(await inside('cat /tmp/slow')).toBe('typed\n');
}, 60_000);

test('a reader that closes the output, and Ctrl-C, end cat and what it runs inside', async () => {
  await inside('head -c 40M /dev/zero >/tmp/unread');
  const noCat = async (): Promise<boolean> => (await inside('pgrep -c "^cat$" || true')).trim() === '0';
  const line = `"$0" "$1" sandbox cat "$2" | head -c 10 | wc -c; echo "\${PIPESTATUS[0]}"`;
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, ...server.plain };
  const shell = spawn('bash', ['-c', line, nodeProgram, cliMain, there('/tmp/unread')], { env });
  let text = '';
  shell.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await once(shell, 'close');
  expect(text).toBe('10\n141\n');
  await until('no cat inside', noCat);

  await inside('mkfifo /tmp/silent');
  const waiting = spawn(nodeProgram, [cliMain, 'sandbox', 'cat', there('/tmp/silent')], { env });
  let errors = '';
  waiting.stderr.setEncoding('utf8').on('data', (piece: string) => (errors += piece));
  await until('cat inside', async () => !(await noCat()));
  waiting.kill('SIGINT');
  expect([...((await once(waiting, 'close')) as unknown[]), errors]).toEqual([130, null, '']);
  await until('no cat inside', noCat);
}, 60_000);

test('a full disk of this machine ends a copy and an export with a reason, and leaves nothing', async () => {
  const small = join(folder, 'small');
  await mkdir(small);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'soulbox-test', small]);
  try {
    await inside('head -c 3000000 /dev/urandom > /tmp/large');
    const copied = await cli('cp', there('/tmp/large'), join(small, 'large'));
    const exported = await cli('export', sandbox().sandboxId, '--output', join(small, 'x.soulbox'));
    for (const { code, stderr } of [copied, exported]) {
      expect(stderr).toMatch(/disk_full|no space/i);
      expect(code).toBe(1);
    }
    expect(await readdir(small)).toEqual([]);
  } finally {
    await run('umount', [small]);
  }
});
