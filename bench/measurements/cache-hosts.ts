import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { startServer, testDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { createStorageKey } from '@soulbox/vault';
import { Sandbox, Volume } from 'e2b';
import { connectionTo } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { Figure } from '../measurement.ts';
import { askResident, fillMemory } from '../resident.ts';
import { recoverServer, untilUploaded, untilWhole } from '../stored.ts';
import { timeMs } from '../time.ts';

export interface SharedLevels {
  readonly storeUrl: string;
  readonly credentialsFile: string;
  readonly redis: string;
  readonly http: string;
  readonly note: string;
}

const residentMb = 200;
const volumeMib = 64;
const rounds = 3;
/** The control plane uploads its records some seconds after they have changed. */
const recordsMs = 8000;
const volumeName = 'content';

/**
 * What a level of the cache gains for a host that has nothing yet: the first create from a snapshot, and the first read of
 * a volume. Each round is another host.
 */
export async function* measureHosts(lab: Lab, levels: SharedLevels): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(testDirectory, 'bench-store-'));
  try {
    yield* await measure(lab, levels, folder);
  } finally {
    await removeTree(folder);
  }
}

/** Redis takes a chunk when a second host reads it, a proxy when the first one does. */
const plans = [
  { what: 'no cache', setting: undefined, before: 0 },
  { what: 'Redis, read by two hosts before', setting: 'redis', before: 2 },
  { what: 'HTTP, read by one host before', setting: 'http', before: 1 },
] as const;

async function measure(lab: Lab, levels: SharedLevels, folder: string): Promise<Figure[]> {
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, createStorageKey(), { mode: 0o600 });
  const { storeUrl: url, credentialsFile, note } = levels;
  const start = async (more: Record<string, string>, dataDirectory?: string): Promise<ServerProcess> =>
    await startServer({
      ...{ instance: lab.buildInstance, poolSize: 0, ...(dataDirectory !== undefined && { dataDirectory }) },
      environment: {
        ...{ SOULBOX_LOG_LEVEL: 'warn', SOULBOX_ISOLATION: lab.isolation },
        ...{ SOULBOX_STORAGE: url, SOULBOX_STORAGE_KEY_FILE: keyFile },
        ...{ SOULBOX_STORAGE_CREDENTIALS_FILE: credentialsFile, ...more },
      },
    });
  const first = await start({});
  let snapshotId: string;
  try {
    snapshotId = await fill(first);
    await untilUploaded(first);
    await sleep(recordsMs);
  } finally {
    await first.stop();
    await removeTree(first.dataDirectory);
  }
  const visit = async (setting: 'redis' | 'http' | undefined): Promise<Visit> => {
    const dataDirectory = await recoverServer({ url, keyFile, credentialsFile });
    const more: Record<string, string> =
      setting === undefined ? {} : { [`SOULBOX_CACHE_${setting.toUpperCase()}`]: levels[setting] };
    const server = await start(more, dataDirectory);
    try {
      return await use(server, snapshotId);
    } finally {
      await server.stop();
      await removeTree(dataDirectory);
    }
  };
  for (const { what, setting, before } of plans) {
    lab.progress(`hosts that read before: ${what}`);
    for (let host = 0; host < before; host++) await visit(setting);
  }
  const visits = plans.map((): Visit[] => []);
  for (let round = 0; round < rounds; round++) {
    lab.progress(`hosts that have nothing yet, round ${round} of ${rounds}`);
    for (const [at, { setting }] of plans.entries()) visits[at]?.push(await visit(setting));
  }
  return plans.flatMap(({ what }, at): Figure[] => {
    const of = (figure: keyof Visit): number[] => (visits[at] ?? []).map((each) => each[figure]);
    const create = `first create from a snapshot of ${residentMb} MiB on another host`;
    return [
      { what: `${create} → first answer, ${what}`, unit: 'ms', samples: of('answerMs'), note },
      { what: `${create} → all memory here, ${what}`, unit: 'ms', samples: of('wholeMs'), note },
      { what: `first read of ${volumeMib} MiB of a volume, ${what}`, unit: 'MiB/s', samples: of('readRate'), note },
    ];
  });
}

/** Makes a snapshot and a volume. Returns the id of the snapshot. */
async function fill(server: ServerProcess): Promise<string> {
  const connection = { ...connectionTo(server), timeoutMs: 600_000 };
  const volume = await Volume.create(volumeName, connection);
  const writer = await Sandbox.create('base', { ...connection, volumeMounts: { '/data': volume } });
  await writer.commands.run(`head -c ${volumeMib}M /dev/urandom > /data/content && sync`, { timeoutMs: 120_000 });
  await writer.kill();
  const sandbox = await Sandbox.create('base', connection);
  await fillMemory(sandbox, connection.sandboxUrl, residentMb);
  const { snapshotId } = await sandbox.createSnapshot();
  await sandbox.kill();
  return snapshotId;
}

interface Visit {
  readonly answerMs: number;
  readonly wholeMs: number;
  /** MiB a second. */
  readonly readRate: number;
}

async function use(server: ServerProcess, snapshotId: string): Promise<Visit> {
  const connection = { ...connectionTo(server), timeoutMs: 600_000 };
  const from = performance.now();
  const copy = await Sandbox.create(snapshotId, connection);
  const said = await askResident(connection.sandboxUrl, copy.sandboxId);
  const answerMs = performance.now() - from;
  if (said !== residentMb) throw new Error(`the program inside said ${String(said)} instead of ${residentMb}`);
  await untilWhole(server);
  const wholeMs = performance.now() - from;
  await copy.kill();
  const volume = (await Volume.list(connection)).find(({ name }) => name === volumeName);
  if (volume === undefined) throw new Error('the volume was not recovered');
  const reader = await Sandbox.create('base', { ...connection, volumeMounts: { '/data': volumeName } });
  const readMs = await timeMs(async () => {
    await reader.commands.run('cat /data/content > /dev/null', { timeoutMs: 120_000 });
  });
  await reader.kill();
  // Values are sent to Redis behind the answers.
  await sleep(500);
  return { answerMs, wholeMs, readRate: volumeMib / (readMs / 1000) };
}
