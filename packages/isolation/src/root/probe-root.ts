import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { readCgroupMounts } from '../cgroup/layout.ts';
import type { DriverFinding } from '../driver.ts';
import type { Version } from '../host/findings.ts';
import { finding, findingOfFileSystem, presenceFinding, toolFinding, versionFinding } from '../host/findings.ts';

/** Linux supports overlayfs over idmapped layers since 5.19 (fs/overlayfs); all other features are older. */
const kernelMin: Version = [5, 19];
/** mount(8) supports X-mount.idmap since util-linux 2.39. */
const mountMin: Version = [2, 39];

/**
 * The requirements of every driver whose sandboxes have a disk image, an id range and a control group. Changes nothing.
 */
export async function probeRoot(): Promise<readonly DriverFinding[]> {
  return [
    finding('root', process.geteuid?.() === 0, 'the server must run as root to create sandboxes'),
    versionFinding('kernel', release(), kernelMin),
    await toolFinding('mount', mountMin),
    await presenceFinding('mkfs.ext4', ['-V']),
    await presenceFinding('unshare', ['--version']),
    await presenceFinding('perl', ['-v']),
    findingOfCgroups(),
    findingOfFileSystem('overlay'),
    findingOfFileSystem('ext4'),
    finding('loop devices', existsSync('/dev/loop-control'), '/dev/loop-control'),
    findingOfUserNamespaces(),
  ];
}

function findingOfCgroups(): DriverFinding {
  const { layout } = readCgroupMounts();
  const ok = layout === 'v2' || layout === 'v1';
  const detail = layout === 'hybrid' ? 'hybrid: crun refuses it until the host is prepared' : layout;
  return { name: 'cgroups', ok, detail };
}

function findingOfUserNamespaces(): DriverFinding {
  const path = '/proc/sys/user/max_user_namespaces';
  const max = existsSync(path) ? Number(readFileSync(path, 'latin1')) : 0;
  return { name: 'user namespaces', ok: max > 0, detail: `${path} is ${max}` };
}
