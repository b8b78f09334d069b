/** @module-tag violation */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync } from 'node:fs';
import { appendFile, open, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { openMount } from '@soulbox/fuse';
import type { Mounted } from '@soulbox/fuse';
import { bindUnix, createDescriptorPair, sendDescriptor } from '@soulbox/process';

const whyNot = !existsSync('/dev/fuse')
  ? '/dev/fuse is missing'
  : process.getuid?.() === 0
    ? undefined
    : 'root is needed to mount';

const packages = join(import.meta.dirname, '../../../packages');
const launcher = join(packages, 'process/src/launch.ts');
const holder = join(packages, 'fuse/src/testing/hold_lock.py');
const main = join(import.meta.dirname, 'main.ts');
const compileCache = join(import.meta.dirname, '../../../node_modules/.cache/tests-compile');
/** The user of the service. No sandbox has it. */
const id = 0x7fff_0005;

let folder: string;
let socketPath: string;
let socket: number;
let channel: readonly [number, number];
let service: ChildProcess;
let mountCount = 0;
const mounts: (Mounted & { readonly name: string; readonly place: string })[] = [];

/** As the box starts it: with its own user, file system and namespaces, and without most system calls. */
async function startService(): Promise<void> {
  const flags = ['--conditions=soulbox-source', '--disable-warning=ExperimentalWarning'];
  const program = [process.execPath, ...flags, launcher, '3', main];
  service = spawn('unshare', ['--mount', '--net', '--ipc', '--', ...program], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', socket, channel[1]],
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', NODE_COMPILE_CACHE: compileCache },
  });
  const orders = service.stdio[3] as Socket;
  orders.on('error', () => undefined);
  const settings = {
    ...{ logLevel: 'error', cell: { id, root: join(folder, 'cell') }, descriptor: 4, channel: 5 },
    dataMount: { from: join(folder, 'data'), to: join(folder, 'cell') },
  };
  orders.write(`${JSON.stringify({ kind: 'start', settings })}\n`);
  for await (const line of createInterface({ input: orders }))
    if (line.includes('"kind":"ready"')) return;
    else if (line.includes('"failed"')) throw new Error(line);
  throw new Error('The service did not start.');
}

async function endService(how: 'kill' | 'stop'): Promise<void> {
  const ended = once(service, 'close');
  if (how === 'kill') service.kill('SIGKILL');
  else (service.stdio[3] as Socket).write(`${JSON.stringify({ kind: 'stop', keepSandboxes: true })}\n`);
  await ended;
}

async function ask(
  method: string,
  path: string,
  body = '',
): Promise<{ readonly status: number; readonly text: string }> {
  const sent = httpRequest({ socketPath, method, path, agent: false });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return { status: answer.statusCode ?? 0, text };
}

interface Limits {
  readonly sizeBytes?: number;
  readonly teamBytes?: number;
  readonly isReadOnly?: boolean;
}

/** The test is the runner: it has the device, and gives the service another descriptor of it. */
async function order(mounted: (typeof mounts)[number], isTakeover: boolean, limits: Limits = {}) {
  const ticket = Buffer.from(sendDescriptor(channel[0], mounted.fd)).toString('hex');
  const body = { ticket, negotiated: mounted.negotiated, isTakeover, isReadOnly: false, ...limits };
  return await ask('PUT', `${mounted.place}mount?mount=${mounted.name}`, JSON.stringify(body));
}

async function mount(place: string, limits: Limits = {}): Promise<(typeof mounts)[number]> {
  mountCount += 1;
  const name = `mount-${mountCount}`;
  const mountPoint = join(folder, name);
  mkdirSync(mountPoint);
  const opened = await openMount({ mountPoint, locks: true, autoInvalidate: true });
  const mounted = { ...opened, name, place };
  mounts.push(mounted);
  expect(await order(mounted, false, limits)).toEqual({ status: 204, text: '' });
  return mounted;
}

/** Ends the service and gives all mounts to the next one. */
async function replaceService(how: 'kill' | 'stop', beforeTakeover = async () => await Promise.resolve()) {
  await endService(how);
  await startService();
  await beforeTakeover();
  for (const mounted of mounts) expect((await order(mounted, true)).status).toBe(204);
}

async function end(mounted: (typeof mounts)[number]): Promise<void> {
  mounts.splice(mounts.indexOf(mounted), 1);
  await mounted.abort();
  mounted.close();
}

/** A process that waits for a lock or holds it. */
function lock(file: string) {
  const child = spawn('/usr/bin/python3', [holder, file, 'fcntl'], { stdio: ['pipe', 'pipe', 'pipe'] });
  return { child, held: once(child.stdout, 'data'), ended: once(child, 'close') };
}

/** A process that has a file without a name, and reads it at the end. */
function holdUnnamed(file: string) {
  const program = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(fd, b"kept")
os.unlink(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
print(os.pread(fd, 4, 0).decode())
`;
  const child = spawn('/usr/bin/python3', ['-c', program, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { child, held: once(child.stdout, 'data'), ended: once(child, 'close'), output: () => output };
}

const within = async <T>(ms: number, work: Promise<T>): Promise<T | 'late'> =>
  await Promise.race([work, sleep(ms, 'late' as const)]);

describe.skipIf(whyNot !== undefined)(
  `mounts of the volume service${whyNot === undefined ? '' : ` (${whyNot})`}`,
  () => {
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'soulbox-mounts-'));
      mkdirSync(join(folder, 'cell'));
      mkdirSync(join(folder, 'data'), { mode: 0o700 });
      chownSync(join(folder, 'data'), id, id);
      socketPath = join(folder, 'volumes.sock');
      socket = bindUnix(socketPath, id);
      channel = createDescriptorPair();
      await startService();
    });
    afterAll(async () => {
      for (const mounted of [...mounts]) await end(mounted);
      await endService('stop');
      for (const fd of [socket, ...channel]) closeSync(fd);
      await rm(socketPath, { force: true });
      await removeTree(folder);
    });

    test('of one volume see the same files and locks, which are also the contents of the API', async () => {
      const place = '/team/shared/shared/';
      const [one, other] = [await mount(place), await mount(place)];
      const [mine, theirs] = [join(one.mountPoint, 'file'), join(other.mountPoint, 'file')];
      await writeFile(mine, 'one');
      await using reader = await open(theirs);
      expect(String((await reader.read(Buffer.alloc(9), 0, 9, 0)).buffer)).toMatch(/^one/);
      await writeFile(mine, 'two!', { flag: 'r+' });
      expect(String((await reader.read(Buffer.alloc(9), 0, 9, 0)).buffer)).toMatch(/^two!/);
      expect(await ask('GET', `${place}file?path=/file`)).toEqual({ status: 200, text: 'two!' });
      await ask('PUT', `${place}file?path=/sent`, 'sent');
      expect(await readFile(join(other.mountPoint, 'sent'), 'utf8')).toBe('sent');
      expect(await ask('POST', `${place}sync`)).toEqual({ status: 204, text: '' });

      const first = lock(mine);
      await first.held;
      const second = lock(theirs);
      expect(await within(150, second.held)).toBe('late');
      first.child.stdin.end();
      await second.held;
      second.child.stdin.end();
      await Promise.all([first.ended, second.ended]);

      expect(await order(one, false)).toEqual({ status: 204, text: '' });
      expect(JSON.parse((await ask('GET', '/mounts')).text)).toEqual([one.name, other.name]);
      await end(one);
      expect(await readFile(theirs, 'utf8')).toBe('two!');
      for (let list = ''; list !== `["${other.name}"]`; list = (await ask('GET', '/mounts')).text) await sleep(5);
      const body = { ticket: '00'.repeat(16), negotiated: one.negotiated, isTakeover: false, isReadOnly: false };
      const refused = await ask('PUT', `${place}mount?mount=a`, JSON.stringify(body));
      expect([refused.status, JSON.parse(refused.text)]).toMatchObject([400, { reason: 'bad_request' }]);
      const large = await ask('PUT', `${place}mount?mount=a`, ' '.repeat(70_000));
      expect(large.status).toBe(400);
    });

    test('have the limits of the volume and of its team', async () => {
      const small = await mount('/limited/small/small/', { sizeBytes: 1_000_000 });
      const full: unknown = expect.objectContaining({ errno: -122 });
      await expect(writeFile(join(small.mountPoint, 'a'), Buffer.alloc(2_000_000))).rejects.toEqual(full);
      await writeFile(join(small.mountPoint, 'a'), Buffer.alloc(900_000));
      const other = await mount('/limited/other/other/', { sizeBytes: 9_000_000, teamBytes: 1_500_000 });
      await expect(writeFile(join(other.mountPoint, 'a'), Buffer.alloc(700_000))).rejects.toEqual(full);
      await writeFile(join(other.mountPoint, 'a'), Buffer.alloc(400_000));
      await unlink(join(small.mountPoint, 'a'));
      // A call with another limit does not end the limit of the team, which counts anew within a second.
      await ask('GET', '/limited/other/other/dir?path=/&sizeBytes=8000000');
      const grow = async (): Promise<void> => await writeFile(join(other.mountPoint, 'b'), Buffer.alloc(900_000));
      for (let tries = 0; tries < 30 && (await grow().catch(() => 'full')) === 'full'; tries += 1) await sleep(50);
      await grow();
      await expect(appendFile(join(other.mountPoint, 'b'), Buffer.alloc(500_000))).rejects.toEqual(full);

      const readOnly = await mount('/limited/small/small/', { sizeBytes: 1_000_000, isReadOnly: true });
      await expect(writeFile(join(readOnly.mountPoint, 'b'), '')).rejects.toMatchObject({ code: 'EROFS' });
      for (const one of [small, other, readOnly]) await end(one);
    });

    test('show each change at once, although the kernel of a single one keeps names and attributes', async () => {
      const place = '/team/seen/seen/';
      const one = await mount(place);
      const at = ({ mountPoint }: typeof one, name: string): string => join(mountPoint, name);
      const isThere = async (path: string): Promise<boolean> => await stat(path).then(Boolean, () => false);
      await writeFile(at(one, 'a'), 'first');
      for (let tries = 0; tries < 20; tries += 1) {
        expect((await stat(at(one, 'a'))).size).toBe(5);
        expect(await isThere(at(one, 'b'))).toBe(false);
      }
      // It was told both a moment ago.
      expect((await ask('PUT', `${place}file?path=/b`, 'by the API')).status).toBe(201);
      expect((await ask('PUT', `${place}file?path=/a`, 'by the API, too')).status).toBe(201);
      expect(await readFile(at(one, 'b'), 'utf8')).toBe('by the API');
      expect((await stat(at(one, 'a'))).size).toBe(15);

      const other = await mount('/team/later/later/');
      await writeFile(at(other, 'a'), 'first');
      const read = async (): Promise<string> => await readFile(at(other, 'a'), 'utf8');
      for (let tries = 0; tries < 20; tries += 1)
        expect([await read(), await isThere(at(other, 'b'))]).toEqual(['first', false]);
      const second = await mount('/team/later/later/');
      await writeFile(at(second, 'b'), '');
      await writeFile(at(second, 'a'), 'changed by another');
      expect([await read(), await isThere(at(other, 'b'))]).toEqual(['changed by another', true]);
      await unlink(at(other, 'b'));
      expect(await isThere(at(second, 'b'))).toBe(false);
      await replaceService('kill');
      await writeFile(at(other, 'a'), 'after the kill');
      expect(await readFile(at(second, 'a'), 'utf8')).toBe('after the kill');
      for (const mounted of [one, other, second]) await end(mounted);
    });

    test('go on with the next service, after a kill and after a stop', async () => {
      const place = '/team/kept/kept/';
      const mounted = await mount(place);
      const log = join(mounted.mountPoint, 'log');
      const program = `
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
count = 0
while not os.path.exists(sys.argv[2]):
    assert os.write(fd, b"%07d\\n" % count) == 8
    os.fsync(fd)
    count += 1
print(count)
`;
      const stopFile = join(folder, 'stop');
      const writer = spawn('/usr/bin/python3', ['-c', program, log, stopFile], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      writer.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      const written = once(writer, 'close');
      const unnamed = holdUnnamed(join(mounted.mountPoint, 'unnamed'));
      await unnamed.held;
      const first = lock(join(mounted.mountPoint, 'lock'));
      await first.held;
      const second = lock(join(mounted.mountPoint, 'lock'));
      const alive = httpRequest({ socketPath, path: '/alive', agent: false }).end();
      const [answer] = (await once(alive, 'response')) as [IncomingMessage];
      const gone = once(answer.resume(), 'close').catch(() => undefined);

      await sleep(100);
      // Another user of the volume comes first, and must not end what the mount holds.
      await replaceService('kill', async () => expect((await ask('GET', `${place}dir?path=/`)).status).toBe(200));
      await gone;
      await sleep(100);
      await replaceService('stop');
      await sleep(100);
      expect(await within(1, second.held)).toBe('late');
      first.child.stdin.end();
      await second.held;
      second.child.stdin.end();
      closeSync(openSync(stopFile, 'w'));
      expect(await written).toEqual([0, null]);
      const count = Number(output);
      const expected = Array.from({ length: count }, (_, line) => `${String(line).padStart(7, '0')}\n`).join('');
      expect(await readFile(log, 'utf8')).toBe(expected);
      unnamed.child.stdin.end();
      expect([await unnamed.ended, unnamed.output()]).toEqual([[0, null], 'held\nkept\n']);
      await end(mounted);
    });

    test('fail each call after their volume was removed', async () => {
      const place = '/team/gone/gone/';
      const mounted = await mount(place);
      const file = join(mounted.mountPoint, 'file');
      await writeFile(file, 'x');
      const kept = await open(file, 'r+');
      const first = lock(file);
      await first.held;
      const second = lock(file);
      expect(await within(100, second.held)).toBe('late');
      expect(await within(1000, ask('DELETE', place))).toEqual({ status: 204, text: '' });
      const failed: unknown = expect.objectContaining({ code: 'EIO' });
      await second.ended;
      await expect(stat(file)).rejects.toEqual(failed);
      await expect(kept.write('y')).rejects.toEqual(failed);
      await expect(writeFile(join(mounted.mountPoint, 'new'), '')).rejects.toEqual(failed);
      // A process that starts closes its copies of the files of this one, which needs a service.
      await kept.close().catch(() => undefined);
      await replaceService('kill');
      await expect(stat(file)).rejects.toEqual(failed);
      first.child.stdin.end();
      await first.ended;
      expect(existsSync(join(folder, 'data/team/gone'))).toBe(false);
      await end(mounted);
    });
  },
);
