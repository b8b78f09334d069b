import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { run } from '@soulbox/base';
import { readCgroupMounts } from '../cgroup/layout.ts';
import type { DriverFinding } from '../driver.ts';

type Version = readonly [major: number, minor: number];

/** overlayfs over idmapped layers came with 5.19 (fs/overlayfs); the rest of what is used is older. */
const kernelMin: Version = [5, 19];
/** X-mount.idmap of mount(8) came with util-linux 2.39. */
const mountMin: Version = [2, 39];
/** `process.scheduler` of the OCI configuration came with crun 1.11. */
const crunMin: Version = [1, 11];

/** Looks at kernel, tools and control groups without changing anything. */
export async function probeHost(): Promise<readonly DriverFinding[]> {
  return [
    finding('root', process.geteuid?.() === 0, 'the server must run as root to make sandboxes'),
    versionFinding('kernel', release(), kernelMin),
    await toolFinding('crun', crunMin),
    await toolFinding('mount', mountMin),
    await presenceFinding('mkfs.ext4', ['-V']),
    await presenceFinding('setpriv', ['--version']),
    await presenceFinding('unshare', ['--version']),
    findingOfCgroups(),
    findingOfFileSystem('overlay'),
    findingOfFileSystem('ext4'),
    finding('loop devices', existsSync('/dev/loop-control'), '/dev/loop-control'),
    findingOfUserNamespaces(),
    finding('seccomp', existsSync('/proc/sys/kernel/seccomp/actions_avail'), 'seccomp filters of the kernel'),
  ];
}

function finding(name: string, ok: boolean, detail: string): DriverFinding {
  return { name, ok, detail: ok ? detail : `missing: ${detail}` };
}

function versionFinding(name: string, text: string, min: Version): DriverFinding {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(text) ?? [];
  const ok = Number(major) > min[0] || (Number(major) === min[0] && Number(minor) >= min[1]);
  const found = text.split('\n', 1)[0] ?? '';
  return { name, ok, detail: ok ? found : `${found}; ${min.join('.')} or later is needed` };
}

async function toolFinding(command: string, min: Version): Promise<DriverFinding> {
  try {
    return versionFinding(command, await run(command, ['--version']), min);
  } catch {
    return finding(command, false, `the program ${command}`);
  }
}

async function presenceFinding(command: string, args: readonly string[]): Promise<DriverFinding> {
  try {
    await run(command, args);
    return finding(command, true, 'installed');
  } catch {
    return finding(command, false, `the program ${command}`);
  }
}

function findingOfCgroups(): DriverFinding {
  const { layout } = readCgroupMounts();
  const ok = layout === 'v2' || layout === 'v1';
  const detail = layout === 'hybrid' ? 'hybrid: crun refuses it until the host is prepared' : layout;
  return { name: 'cgroups', ok, detail };
}

function findingOfFileSystem(name: string): DriverFinding {
  // A module that is not loaded yet is not listed; the kernel loads these two at the first mount.
  const listed = new RegExp(`^(nodev)?\\t${name}$`, 'm').test(readFileSync('/proc/filesystems', 'latin1'));
  return { name, ok: true, detail: listed ? 'in the kernel' : 'not loaded; the kernel loads it when it is needed' };
}

function findingOfUserNamespaces(): DriverFinding {
  const path = '/proc/sys/user/max_user_namespaces';
  const max = existsSync(path) ? Number(readFileSync(path, 'latin1')) : 0;
  return { name: 'user namespaces', ok: max > 0, detail: `${path} is ${max}` };
}
