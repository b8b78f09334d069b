import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from '@soulbox/base';

/** The number of ids that an instance owns, from (instance + 1) * 2^28 on: docs/decisions/004. */
const idsPerInstance = 2 ** 28;

/**
 * Lists everything on this host that belongs to the sandboxes of an instance, one line each, such as `mount /x` or
 * `veth sb1x3`. Empty if nothing is left. `dataDirectory` adds the folders of its sandboxes and the mounts below it.
 */
export async function listHostTraces(instance: number, dataDirectory?: string): Promise<string[]> {
  const found = await Promise.all([
    listProcesses(instance),
    listGroups(instance),
    listMounts(instance, dataDirectory),
    listInterfaces(instance),
    listTables(instance),
    listLoopDevices(instance),
    listRuntimeCheckpoints(instance),
    dataDirectory === undefined ? [] : listFolders(dataDirectory),
  ]);
  return found.flat().sort();
}

async function listProcesses(instance: number): Promise<string[]> {
  const first = (instance + 1) * idsPerInstance;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map(async (pid) => {
      const [status, groups] = await Promise.all([readText(`/proc/${pid}/status`), readText(`/proc/${pid}/cgroup`)]);
      const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
      const group = /\/soulbox-(\d+)(?:-tools)?\//.exec(groups)?.[1];
      // The control group decides. The uid finds processes that escaped from their group.
      const owned = group === undefined ? uid >= first && uid < first + idsPerInstance : group === String(instance);
      // A zombie holds only its pid, until the init of this host collects it.
      if (/^State:\s+Z/m.test(status)) return undefined;
      if (!owned) return undefined;
      return `process ${pid} ${/^Name:\s+(.*)$/m.exec(status)?.[1] ?? '?'}`;
    }),
  );
  return lines.filter((line) => line !== undefined);
}

async function listGroups(instance: number): Promise<string[]> {
  const roots = (await readMountTable()).filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
  const lines = await Promise.all(
    roots
      .flatMap(({ target }) => ['', '-tools'].map((kind) => join(target, `soulbox-${instance}${kind}`)))
      .map(async (parent) => {
        const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
        return entries.filter((entry) => entry.isDirectory()).map(({ name }) => `cgroup ${join(parent, name)}`);
      }),
  );
  return lines.flat();
}

async function listMounts(instance: number, dataDirectory: string | undefined): Promise<string[]> {
  const mark = `soulbox-${instance}-`;
  return (await readMountTable())
    .filter(
      ({ source, target }) =>
        basename(source).startsWith(mark) ||
        (dataDirectory !== undefined && target.startsWith(join(dataDirectory, 'sandboxes/'))),
    )
    .map(({ target }) => `mount ${target}`);
}

async function listInterfaces(instance: number): Promise<string[]> {
  const names = await readdir('/sys/class/net');
  return names.filter((name) => name.startsWith(`sb${instance}x`)).map((name) => `veth ${name}`);
}

async function listTables(instance: number): Promise<string[]> {
  const tables = (await run('nft', ['list', 'tables'])).split('\n');
  return tables.filter((line) => line.endsWith(` soulbox_${instance}`)).map((line) => `nft ${line}`);
}

async function listLoopDevices(instance: number): Promise<string[]> {
  const devices = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const lines = await Promise.all(
    devices.map(async (device) => {
      const file = (await readText(`/sys/block/${device}/loop/backing_file`)).trim();
      return basename(file).startsWith(`soulbox-${instance}-`) ? `loop ${device} ${file}` : undefined;
    }),
  );
  return lines.filter((line) => line !== undefined);
}

async function listRuntimeCheckpoints(instance: number): Promise<string[]> {
  const names = await readdir(`/run/soulbox-${instance}/crun`).catch(() => []);
  return names.filter((name) => !name.startsWith('.')).map((name) => `crun ${name}`);
}

async function listFolders(dataDirectory: string): Promise<string[]> {
  const names = await readdir(join(dataDirectory, 'sandboxes')).catch(() => []);
  return names.map((name) => `folder ${join(dataDirectory, 'sandboxes', name)}`);
}

interface Mount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
}

async function readMountTable(): Promise<Mount[]> {
  const lines = (await readText('/proc/self/mounts')).split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [source = '', target = '', type = ''] = line.split(' ');
    return { source, target, type };
  });
}

/**
 * Returns the text of a file, or an empty text if it is gone: processes and devices may end while they are examined.
 */
async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}
