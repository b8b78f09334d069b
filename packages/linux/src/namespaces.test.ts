import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeMountsPrivate } from './mounts.ts';
import { NamespaceError, withinMountNamespace } from './namespaces.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-namespaces-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('code runs among the mounts of another process, and the thread is as before', async () => {
  const script = 'mount -t tmpfs none "$0" && echo inside >"$0/file" && echo ready && read -r _';
  const other = spawn('unshare', ['--mount', 'sh', '-c', script, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  const namespace = openSync(`/proc/${other.pid}/ns/mnt`, 'r');
  const before = process.cwd();
  const own = readlinkSync('/proc/thread-self/ns/mnt');
  const readThere = (): string => withinMountNamespace(namespace, folder, () => readFileSync('file', 'utf8'));
  try {
    expect(readThere()).toBe('inside\n');
    expect(() =>
      withinMountNamespace(namespace, folder, () => {
        throw new Error('of the code');
      }),
    ).toThrow('of the code');
    expect(() => withinMountNamespace(namespace, join(folder, 'none'), () => 0)).toThrow(/chdir .* errno 2/);
    expect([process.cwd(), readlinkSync('/proc/self/cwd')]).toEqual([before, before]);
    expect(readlinkSync('/proc/thread-self/ns/mnt')).toBe(own);
    // Threads of the pool do not come along. This one may have started since the last time.
    await expect(readFile(join(folder, 'file'))).rejects.toThrow(/ENOENT/);
    expect(readThere()).toBe('inside\n');
  } finally {
    closeSync(namespace);
    other.stdin.end();
    await once(other, 'exit');
  }
});

// systemd shares all mounts of a host.
test('shared mounts of a namespace can be made private', async () => {
  const script = 'echo ready && read -r _';
  const options = ['--mount', '--propagation', 'shared'];
  const other = spawn('unshare', [...options, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  const namespace = openSync(`/proc/${other.pid}/ns/mnt`, 'r');
  try {
    expect(readFileSync(`/proc/${other.pid}/mountinfo`, 'utf8')).toMatch(/ shared:\d+ /);
    withinMountNamespace(namespace, '/', makeMountsPrivate);
    expect(readFileSync(`/proc/${other.pid}/mountinfo`, 'utf8')).not.toMatch(/ (?:shared|master):\d+ /);
  } finally {
    closeSync(namespace);
    other.stdin.end();
    await once(other, 'exit');
  }
});

test('what is no mount namespace is not entered', () => {
  const file = openSync('/proc/self/ns/net', 'r');
  try {
    expect(() => withinMountNamespace(file, '/', () => 0)).toThrow(NamespaceError);
  } finally {
    closeSync(file);
  }
});
