import { closeSync, mkdtempSync, openSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import type { ProgramOptions } from './programs.ts';
import { startProgram } from './programs.ts';

const options = {
  directory: '/',
  environment: { PATH: '/usr/bin:/bin' },
  standardStreams: 'pipe',
} as const satisfies ProgramOptions;

const read = async (stream: Socket | undefined): Promise<string> => (stream === undefined ? '' : await text(stream));
const shell = (script: string, more: Partial<ProgramOptions> = {}) =>
  startProgram('sh', ['-c', script, 'sh'], { ...options, ...more });

test('a program gets its words, folder, variables and input, and its output and end arrive', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'soulbox-programs-')));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const environment = { PATH: '/usr/bin:/bin', WORD: 'two  words' };
  const program = startProgram(
    'sh',
    ['-c', 'pwd; env | grep -v ^_=; echo "<$1>"; cat; echo why >&2; exit 3', 'sh', ' a'],
    {
      ...{ directory: folder, environment, standardStreams: 'pipe' },
    },
  );
  program.input?.end('hello\n');
  const [output, errors, end] = await Promise.all([read(program.output), read(program.errors), program.exited]);
  expect(output.split('\n').toSorted()).toEqual(
    ['', '< a>', `PWD=${folder}`, 'PATH=/usr/bin:/bin', 'WORD=two  words', folder, 'hello'].toSorted(),
  );
  expect([errors, end]).toEqual(['why\n', { code: 3, signal: null }]);
});

test.each([
  ['in order', (fds: number[]) => fds],
  ['in reverse', (fds: number[]) => fds.toReversed()],
  ['one twice', ([first = 0]: number[]) => [first, first]],
])('it inherits only its streams and the given descriptors: %s', async (_, choose) => {
  const devices = ['/dev/null', '/dev/zero', '/dev/full'];
  const fds = devices.map((path) => openSync(path, 'r'));
  onTestFinished(() => fds.forEach(closeSync));
  const descriptors = choose(fds);
  // Whoever started this process may have left descriptors open in it on purpose. `ls` itself opens the folder.
  const own = await listDescriptors();
  const listed = await listDescriptors(descriptors);
  expect(descriptors.map((__, index) => listed.get(3 + index))).toEqual(
    descriptors.map((fd) => devices[fds.indexOf(fd)]),
  );
  expect(listed.size).toBe(own.size + descriptors.length);
});

async function listDescriptors(descriptors: readonly number[] = []): Promise<Map<number, string>> {
  const list = await read(shell('ls -l /proc/self/fd', { descriptors }).output);
  return new Map([...list.matchAll(/ (\d+) -> (.*)/g)].map(([, fd, target]) => [Number(fd), target ?? '']));
}

test('what is not connected is empty', async () => {
  const program = shell('cat; echo lost; ls -l /proc/self/fd/0 >&2', { standardStreams: 'ignore' });
  expect([program.input, program.output]).toEqual([undefined, undefined]);
  expect(await read(program.errors)).toContain('/dev/null');
  expect(await program.exited).toEqual({ code: 0, signal: null });
});

test('signals that this process ignores or blocks end it as usual', async () => {
  // Node ignores SIGPIPE, and an ignored signal would stay ignored.
  const program = shell('grep -E "Sig(Ign|Blk)" /proc/self/status; kill -PIPE $$; sleep 60');
  expect(await read(program.output)).toMatch(/SigBlk:\t0+\nSigIgn:\t0+\n/);
  expect(await program.exited).toEqual({ code: null, signal: 'SIGPIPE' });
});

test('many that end at once are all noticed, and none stays a zombie', async () => {
  const programs = Array.from({ length: 40 }, (_, index) => shell(`exit ${index}`));
  const ends = await Promise.all(programs.map(async ({ exited }) => await exited));
  expect(ends).toEqual(programs.map((_, code) => ({ code, signal: null })));
  for (const { pid } of programs) expect(readdirSync('/proc')).not.toContain(String(pid));
});

test('a kill ends it, and does nothing afterwards', async () => {
  const program = shell('sleep 60');
  program.kill();
  expect(await program.exited).toEqual({ code: null, signal: 'SIGKILL' });
  program.kill();
});

test('a missing program, a folder and a missing working directory throw, and no descriptor stays open', () => {
  const count = (): number => readdirSync('/proc/self/fd').length;
  shell('exit 0').errors.destroy();
  const before = count();
  expect(() => startProgram('no-such-program', [], options)).toThrow('errno 2');
  expect(() => startProgram('/proc/nowhere', [], options)).toThrow('/proc/nowhere');
  expect(() => startProgram('/usr', [], options)).toThrow('errno 13');
  expect(() => startProgram('sh', [], { ...options, directory: '/proc/nowhere' })).toThrow('errno 2');
  expect(count()).toBeLessThanOrEqual(before);
});
