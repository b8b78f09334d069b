import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { judgeTier } from '../check-tiers.ts';
import { judgeCriu } from './criu.ts';
import { judgeDiskBudget } from './disk-budget.ts';
import { judgeFileSystem, judgeUnwrittenBound } from './disk-guarantees.ts';
import { judgeNode } from './node-version.ts';
import { judgeFirewalls } from './other-firewalls.ts';
import { checkProgram } from './programs.ts';
import { checkUnreadableRecords } from './unreadable-records.ts';
import { judgeVolumes } from './volumes.ts';

const program = {
  name: 'mount',
  package: { debian: 'mount', fedora: 'util-linux', alpine: 'util-linux', arch: 'util-linux' },
  usedFor: 'mounting',
  required: true,
};

test('an installed program is ok', async () => {
  expect(await checkProgram(program)).toMatchObject({ id: 'program-mount', status: 'ok' });
});

test.each([
  ['6.18.44-x', true, 'ok', /^.dev.fuse$/],
  ['6.12.0', true, 'ok', /./],
  ['6.12.0', false, 'warn', /dev.fuse is missing/],
  ['6.11.9', true, 'warn', /6\.12/],
  ['nonsense', true, 'warn', /6\.12/],
] as const)('volumes on Linux %s, with the device: %s', (kernel, hasDevice, status, detail) => {
  const finding = judgeVolumes(kernel, hasDevice);
  expect(finding.status).toBe(status);
  expect(finding.detail).toMatch(detail);
  expect(finding.fix === undefined).toBe(status === 'ok');
});

test.each([
  ['v22.22.2', 'fail', /24 is required/],
  ['v24.0.0', 'fail', /24\.14\.1 is required: CVE-2025-59465/],
  ['v24.14.0', 'fail', /CVE-2026-21710/],
  ['v24.14.1', 'ok', /^v24\.14\.1$/],
  ['v24.21.0', 'ok', /./],
  ['v25.8.1', 'fail', /25\.8\.2 is required/],
  ['v25.8.2', 'ok', /./],
  ['v26.0.0', 'ok', /./],
  ['nonsense', 'fail', /24 is required/],
])('Node.js %s is judged %s', (version, status, detail) => {
  const finding = judgeNode(version);
  expect(finding.status).toBe(status);
  expect(finding.detail).toMatch(detail);
  expect(finding.fix === undefined).toBe(status === 'ok');
});

test('a missing program fails if it is required and warns otherwise, and the fix names its package', async () => {
  const missing = { ...program, name: 'no-such-program' };
  expect(await checkProgram(missing)).toMatchObject({
    status: 'fail',
    detail: 'not installed; needed for mounting',
    fix: { debian: 'apt-get install mount', fedora: 'dnf install util-linux', alpine: 'apk add util-linux' },
  });
  expect(await checkProgram({ ...missing, required: false })).toMatchObject({ status: 'warn' });
});

test('the finding for a program that is too old names both versions and the reason', async () => {
  const minimum = { version: [99, 1], flag: '--version', why: 'tests need it' };
  const finding = await checkProgram({ ...program, minimum });
  expect(finding.status).toBe('fail');
  expect(finding.detail).toMatch(/^2\.\d+.* is too old, 99\.1 is required: tests need it$/);
});

test('a program that reports no version is not trusted', async () => {
  const minimum = { version: [1], flag: '--no-such-flag', why: '' };
  expect(await checkProgram({ ...program, name: 'true', minimum: { ...minimum, flag: 'x' } })).toMatchObject({
    status: 'fail',
  });
  expect(await checkProgram({ ...program, minimum })).toMatchObject({ status: 'fail' });
});

test('without a working CRIU sandboxes work but cannot be paused, and the finding gives the reason', () => {
  const criu = { program: '/usr/sbin/criu', libraryDirectory: '', version: '4.2.1' };
  expect(judgeCriu(undefined)).toMatchObject({ status: 'warn', detail: 'not installed, or older than 4.2' });
  const failed = judgeCriu(criu, { ok: false, why: 'Cannot dump' });
  expect(failed).toMatchObject({ status: 'warn', detail: '4.2.1 does not work on this host: Cannot dump' });
  expect(failed.fix?.debian).toContain('soulbox setup --install');
  expect(judgeCriu(criu, { ok: true })).toMatchObject({ status: 'ok' });
});

test('an isolation is ok only if all findings of its driver are', () => {
  const good = { name: 'isolation check', ok: true, detail: 'another kernel' };
  const bad = { name: 'runsc', ok: false, detail: 'missing: the program runsc' };
  const program = { name: 'runsc', ok: true, detail: '/usr/bin/runsc' };
  expect(judgeTier('gvisor', [program, good])).toMatchObject({
    status: 'ok',
    detail: 'works: runsc, isolation check (another kernel)',
  });
  const fallen = { status: 'warn', detail: 'runsc: missing: the program runsc' };
  expect(judgeTier('gvisor', [good, bad])).toMatchObject(fallen);
  expect(judgeTier('container', [bad, good])).toMatchObject({ ...fallen, status: 'fail' });
});

test('a FORWARD chain that drops is a warning with the chain to open', () => {
  const docker =
    'table ip filter {\n chain FORWARD {\n type filter hook forward priority filter; policy drop;\n jump DOCKER-USER\n';
  expect(judgeFirewalls(docker, '')).toMatchObject({ status: 'warn' });
  expect(judgeFirewalls(docker, '').fix?.debian).toContain('DOCKER-USER');
  const ufw = docker.replace(' jump DOCKER-USER\n', '');
  expect(judgeFirewalls(ufw, '').fix?.debian).toContain('iptables -I FORWARD');
});

test('a FORWARD chain that accepts is ok, and firewalld is a warning', () => {
  expect(judgeFirewalls('chain FORWARD { policy accept; }', '')).toMatchObject({ status: 'ok' });
  expect(judgeFirewalls('', '')).toMatchObject({ status: 'ok' });
  expect(judgeFirewalls('', 'chain filter_FORWARD { reject with icmpx admin-prohibited }').status).toBe('warn');
});

const gib = 1024 ** 3;
const disk = {
  ...{ totalBytes: 100 * gib, freeBytes: 50 * gib, reserveBytes: 2 * gib, committedBytes: 10 * gib },
  ...{ toldBytes: 196 * gib, overcommit: 40, disks: 20, stopped: 0, atMs: 1_000 },
};

test('a disk budget that can keep its promises is ok, and shows all its figures', () => {
  const finding = judgeDiskBudget(disk, 4_000);
  expect(finding.status).toBe('ok');
  expect(finding.detail).toBe(
    '50.0 GiB of 100.0 GiB free, 2.0 GiB reserved, 10.0 GiB committed; 20 disks with a total size of 196.0 GiB, 2.0 times the available space; ' +
      '1/40 of each is promised; 0 sandboxes stopped (3 s ago)',
  );
});

test.each([
  ['the promises cannot be kept', { freeBytes: 11 * gib }],
  ['sandboxes stand still', { stopped: 1 }],
])('it is a warning when %s', (_what, change) => {
  expect(judgeDiskBudget({ ...disk, ...change }, 4_000)).toMatchObject({
    status: 'warn',
    fix: expect.anything() as unknown,
  });
});

test('a file system that does not write in place, or is unknown, gets a warning with its name', () => {
  expect(judgeFileSystem(0xef53)).toMatchObject({ status: 'ok', detail: 'ext4' });
  expect(judgeFileSystem(0x58465342)).toMatchObject({ status: 'ok', detail: 'XFS' });
  const btrfs = judgeFileSystem(0x9123683e);
  expect(btrfs).toMatchObject({
    status: 'warn',
    detail: expect.stringMatching(/^Btrfs is not known to write in place/) as string,
  });
  expect(btrfs.fix?.debian).toContain('ext4 or XFS');
  expect(judgeFileSystem(0x1234)).toMatchObject({
    status: 'warn',
    detail: expect.stringMatching(/^type 0x1234 is not known/) as string,
  });
});

test('a kernel that cannot limit dirty data in memory gets a warning', () => {
  expect(judgeUnwrittenBound(true)).toMatchObject({ status: 'ok' });
  expect(judgeUnwrittenBound(false)).toMatchObject({ status: 'warn', id: 'unwritten-bound' });
});

test('records that a server has set aside are listed', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'soulbox-doctor-'));
  onTestFinished(() => rm(dataDirectory, { recursive: true }));
  expect(await checkUnreadableRecords({ dataDirectory })).toEqual([]);
  await mkdir(join(dataDirectory, 'snapshots-unreadable'));
  await writeFile(join(dataDirectory, 'snapshots-unreadable/torn.json'), '{');
  await mkdir(join(dataDirectory, 'sandboxes-unreadable/iabc'), { recursive: true });
  const finding = await checkUnreadableRecords({ dataDirectory });
  expect(finding).toMatchObject({ id: 'unreadable-records', status: 'warn' });
  const { detail } = finding as { detail: string };
  expect(detail).toContain(
    `${dataDirectory}/sandboxes-unreadable/iabc, ${dataDirectory}/snapshots-unreadable/torn.json: `,
  );
});
