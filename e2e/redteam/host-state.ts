import { readdirSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { run } from '@soulbox/base';

/** Facts about the host that no sandbox and no client may change: a name and a value for each. */
export type HostState = ReadonlyMap<string, string>;

/** Sandboxes of any server on this host have ids from here on (docs/decisions/004). */
const firstSandboxId = 2 ** 28;
/** Counters and states of the running kernel, and settings of interfaces that come and go. */
const movingSettings =
  /^(fs\/(dentry-state|file-nr|inode-nr|inode-state|aio-nr|quota)|kernel\/(random|ns_last_pid|pty\/nr|perf|sched_|hostname$)|net\/netfilter|net\/[^/]+\/(conf|neigh)\/(?!all|default|lo)|vm\/stat_refresh)/;
const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'kvm', 'fuse', 'net/tun', 'loop-control', 'kmsg'];
const fixedChains = [
  ...['translate_in', 'input', 'output', 'forward', 'from_sandbox', 'permitted', 'to_sandbox', 'refuse'],
  ...['masquerade_out', 'translate_out'],
];
/** `PF_EXITING` of the kernel. */
const exitingFlag = 4;
/** Where servers, tests and people mount things at any time. */
const movingMounts = /^\/(run|tmp|var\/lib|media|proc\/sys\/fs\/binfmt_misc)(\/|$)/;

/**
 * Reads the state of the host. `files`: programs that must stay as they are. Some milliseconds of work: nothing that
 * other programs on the host change in their normal life is included.
 */
export async function readHostState(instance: number, files: readonly string[]): Promise<HostState> {
  const state = new Map<string, string>();
  readSettings('/proc/sys', state);
  state.set('modules', textOf('/proc/modules').replace(/^(\S+) .*$/gm, '$1'));
  state.set('swap', textOf('/proc/swaps').replace(/\s+/g, ' '));
  state.set('host name', hostname());
  state.set('mounts', listMounts());
  state.set('control groups', listGroups());
  state.set('escaped processes', listEscaped().join(', '));
  state.set('keyrings of sandboxes', listKeys());
  state.set('neighbors of sandboxes', await listNeighbors(instance));
  state.set('packet filter', await listFilter(instance));
  for (const name of devices) state.set(`/dev/${name}`, describeNode(join('/dev', name)));
  for (const file of files) state.set(file, identityOf(file));
  return state;
}

/** One line for each fact that differs. */
export function compareHostStates(before: HostState, after: HostState): string[] {
  return [...before].flatMap(([name, value]) => {
    const now = after.get(name);
    // Settings disappear with the namespaces and devices of others.
    if (now === undefined || now === value) return [];
    return [`${name} of the host has changed from "${shorten(value)}" to "${shorten(now)}"`];
  });
}

function readSettings(folder: string, state: Map<string, string>): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const name = path.slice('/proc/sys/'.length);
    if (movingSettings.test(name)) continue;
    if (entry.isDirectory()) readSettings(path, state);
    else state.set(path, textOf(path));
  }
}

function listMounts(): string {
  const lines = textOf('/proc/self/mountinfo').split('\n');
  const fields = lines.map((line) => line.split(' '));
  return fields
    .filter(([, , , , point = '']) => point !== '' && !movingMounts.test(point))
    .map(([, , , , point, options]) => `${point ?? ''} ${options ?? ''}`)
    .join('\n');
}

/** The groups below the root, without those of servers, and the release agents. */
function listGroups(): string {
  const roots = textOf('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, target]) => target ?? '');
  return roots
    .flatMap((root) => [
      ...readdirSync(root, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && !entry.name.startsWith('soulbox-'))
        .map(({ name }) => join(root, name)),
      `${root} ${textOf(join(root, 'release_agent'))}${textOf(join(root, 'notify_on_release'))}`,
    ])
    .join('\n');
}

/** Processes with an id of a sandbox outside of every sandbox's control group. */
export function listEscaped(): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const status = textOf(`/proc/${pid}/status`);
    const id = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
    // The first ids of an instance belong to the parts of its server.
    if (!(id >= firstSandboxId) || id % firstSandboxId < 65_536 || /^State:\s+Z/m.test(status)) return [];
    const groups = textOf(`/proc/${pid}/cgroup`);
    if (groups === '' || /\/soulbox-\d+(-tools)?\//.test(groups)) return [];
    return isExiting(Number(pid)) ? [] : [`${pid} of ${id}`];
  });
}

/** With cgroup v1 the kernel shows a process that exits in the root group, long before it is a zombie. */
function isExiting(pid: number): boolean {
  const stat = textOf(`/proc/${pid}/stat`);
  const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
  return stat === '' || (flags & exitingFlag) !== 0;
}

function listKeys(): string {
  const lines = textOf('/proc/keys').split('\n');
  return lines.filter((line) => Number(line.trim().split(/\s+/)[5]) >= firstSandboxId).join('\n');
}

/** Those that are not fixed. The host answers no ARP of a sandbox, so there are none. */
async function listNeighbors(instance: number): Promise<string> {
  const lines = (await run('ip', ['neigh', 'show'])).split('\n');
  const mark = ` dev sb${instance}x`;
  return lines.filter((line) => line.includes(mark) && !line.trimEnd().endsWith('PERMANENT')).join('\n');
}

async function listFilter(instance: number): Promise<string> {
  const table = `inet soulbox_${instance}`;
  const commands = [...fixedChains.map((chain) => `list chain ${table} ${chain}`), `list set ${table} denied`];
  return await run('nft', [commands.join('; ')]);
}

function describeNode(path: string): string {
  try {
    const { mode, uid, gid, rdev, mtimeMs } = statSync(path);
    return `${mode.toString(8)} ${uid} ${gid} ${rdev} ${mtimeMs === 0 ? 'at 0' : ''}`;
  } catch {
    return 'missing';
  }
}

/** A change of the content changes the times, which nobody can set back: ctime is the kernel's. */
function identityOf(file: string): string {
  try {
    const { ino, size, mode, uid, mtimeMs, ctimeMs } = statSync(file);
    return [ino, size, mode, uid, mtimeMs, ctimeMs].join(' ');
  } catch {
    return 'missing';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const shorten = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)}...` : text);
