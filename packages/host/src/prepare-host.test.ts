import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { readHostChanges } from './changes/host-changes.ts';
import { chooseFix, prepareHost } from './prepare-host.ts';
import { probe } from './probe.ts';
import { runChecks } from './run-checks.ts';

const subject = { dataDirectory: '/var/lib/soulbox-test/not/there/yet' };
const notes = await mkdtemp(join(tmpdir(), 'soulbox-changes-'));
afterAll(async () => await removeTree(notes));
const changesFile = join(notes, 'changes.json');
const quiet = { ...subject, install: false, onProgress: () => undefined, changesFile };

test('every check has a unique id, and every problem has a fix for each system', async () => {
  const findings = await runChecks(subject);
  expect(new Set(findings.map(({ id }) => id)).size).toBe(findings.length);
  expect(findings.length).toBeGreaterThan(25);
  for (const finding of findings) {
    expect(finding.detail).not.toBe('');
    if (finding.status === 'ok') continue;
    for (const family of ['debian', 'fedora', 'alpine', 'arch'] as const) expect(finding.fix?.[family]).toMatch(/\S/);
  }
});

test('a prepared host is left unchanged', async () => {
  await prepareHost(quiet);
  const steps: string[] = [];
  const findings = await prepareHost({ ...quiet, onProgress: (step) => steps.push(step) });
  expect(steps).toEqual([]);
  expect(findings.filter(({ status }) => status === 'fail')).toEqual([]);
});

test('a nearly full disk prevents the first start of a server, but not one that can free space', async () => {
  const disk = await mkdtemp(join(tmpdir(), 'soulbox-host-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
  try {
    const full = { ...quiet, dataDirectory: join(disk, 'data') };
    await expect(prepareHost(full)).rejects.toThrow(/Free disk: 0.1 GiB/);
    await mkdir(full.dataDirectory);
    await writeFile(join(full.dataDirectory, 'records.sqlite'), '');
    const finding = (await prepareHost(full)).find(({ id }) => id === 'disk-space');
    expect(finding).toMatchObject({ status: 'fail', startsAnyway: true });
    expect(finding?.detail).toContain('everything except kills and deletes');
  } finally {
    await run('umount', ['--', disk]);
    await removeTree(disk);
  }
});

test('a kernel setting that is too low is raised again', async () => {
  await prepareHost(quiet);
  // Far above any use on this host, so that nothing is affected meanwhile.
  const path = '/proc/sys/kernel/pid_max';
  const before = await readFile(path, 'utf8');
  try {
    await writeFile(path, '4000000');
    const steps: string[] = [];
    await prepareHost({ ...quiet, onProgress: (step) => steps.push(step) });
    expect(steps).toEqual(['setting kernel parameters']);
    expect(await readFile(path, 'utf8')).toBe('4194304\n');
    expect((await readHostChanges(changesFile)).sysctls['kernel.pid_max']).toEqual({
      before: '4000000',
      set: '4194304',
    });
  } finally {
    await writeFile(path, before);
  }
});

test('a failure to record changes does not prevent the preparation of a host', async () => {
  const path = '/proc/sys/kernel/pid_max';
  const before = await readFile(path, 'utf8');
  const damaged = `${changesFile}.damaged`;
  await writeFile(damaged, '{');
  try {
    await writeFile(path, '4000000');
    const steps: string[] = [];
    await prepareHost({ ...quiet, changesFile: damaged, onProgress: (step) => steps.push(step) });
    expect(steps.join()).toContain('continuing without a record for "soulbox uninstall"');
    expect(await readFile(path, 'utf8')).toBe('4194304\n');
    expect(await readFile(damaged, 'utf8')).toBe('{');
  } finally {
    await writeFile(path, before);
  }
});

test('without root nothing is changed, and the error says so', async () => {
  const module = new URL('./prepare-host.ts', import.meta.url).href;
  const script = `
    import { prepareHost } from '${module}';
    await prepareHost({ dataDirectory: '/tmp', install: true, onProgress: (step) => console.log('step', step) }).catch(
      (error) => console.log(error.reason, error.message),
    );`;
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const output = await run('setpriv', [...asNobody, process.execPath, '--input-type=module', '-e', script]);
  expect(output).toMatch(/^host_not_ready This host cannot run sandboxes yet:/);
  expect(output).toContain('Root privileges: running as uid 65534\n    fix: run it with sudo');
  expect(output).not.toContain('step ');
});

test('the fix matches the system, and an unknown system gets the one that names the package', () => {
  const fix = { debian: 'a', fedora: 'b', alpine: 'c', arch: 'd' };
  expect(chooseFix(fix, 'alpine')).toBe('c');
  expect(chooseFix(fix, 'other')).toContain('a (or');
  expect(chooseFix(undefined, 'debian')).toContain('doctor');
});

test('a failed probe gives the reason and leaves nothing behind', async () => {
  const result = await probe(['--mount'], ['mount', '-t', 'no-such-type', 'none', '/mnt']);
  expect(result).toMatchObject({ ok: false, why: expect.stringContaining('no-such-type') as string });
  expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain('no-such-type');
});
