import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorFromNode, writeFileAtomic } from '@soulbox/base';
import { causes, defaultIsolation } from '@soulbox/contract';
import type { Cause } from '@soulbox/contract';
import type { DiskReserve } from '@soulbox/storage';
import { diskDigestsSchema } from '@soulbox/checkpoints';
import { sandboxStates } from './lifecycle.ts';
import { inFile, isAnythingAside, readRecordFile, setAside } from './record-files.ts';
import type { RecordSeal } from './record-seal.ts';
import { lastSlot } from './slots.ts';
import { syncDirectory } from './sync-directory.ts';

const hostRuleSchema = z.object({
  headers: z.record(z.string(), z.string()),
  requests: z.array(z.object({ methods: z.array(z.string()), paths: z.array(z.string()) })),
});

/** 0: no limit. */
const networkLimitsSchema = z.object({
  bytes: z.number(),
  connections: z.number(),
  connectionsPerSecond: z.number(),
  bytesPerSecond: z.number(),
});

/** The fields of NetworkPolicy in spec/runner. Those with a default came later. */
const networkSchema = z.object({
  allowInternetAccess: z.boolean().optional(),
  allowOut: z.array(z.string()),
  denyOut: z.array(z.string()),
  allowPublicTraffic: z.boolean().optional(),
  maskRequestHost: z.string(),
  httpsPorts: z.array(z.number()).optional(),
  rules: z.record(z.string(), hostRuleSchema).optional(),
  egressProxy: z.object({ address: z.string(), username: z.string(), password: z.string() }).optional(),
  limits: networkLimitsSchema.optional(),
  learn: z.boolean().optional(),
  identityTokens: z.record(z.string(), z.object({ audience: z.string(), tokenType: z.string() })).optional(),
});

const lifecycleSchema = z.object({
  /** At its deadline the sandbox is paused, not killed. */
  pauseOnTimeout: z.boolean(),
  /** Whether such a pause keeps the memory. */
  pauseMemory: z.boolean(),
  /** A request for the sandbox resumes it. */
  autoResume: z.boolean(),
  /** 0: never. */
  idleTimeoutSeconds: z.number(),
  /** The timeout that its creator or last resumer requested. */
  timeoutSeconds: z.number(),
});

/** A sandbox that is killed at its deadline and does nothing else by itself. */
export const plainLifecycle: Lifecycle = {
  pauseOnTimeout: false,
  pauseMemory: true,
  autoResume: false,
  idleTimeoutSeconds: 0,
  timeoutSeconds: 0,
};

/** The tenant's settings that envd got. They are used again for a start on the kept files and for copies. */
const settingsSchema = z.object({
  envVars: z.record(z.string(), z.string()),
  defaultUser: z.string(),
  defaultWorkdir: z.string(),
  /** The output of commands goes into the log of the sandbox. Absent: it does not. */
  logOutput: z.boolean().optional(),
});

/** A volume or a bucket that is mounted in a sandbox. */
export const volumeSchema = z.object({
  teamId: z.string(),
  groupId: z.string(),
  volumeId: z.string(),
  /** The name by which it was requested. */
  name: z.string(),
  /** Absolute, in the sandbox. */
  path: z.string(),
  isReadOnly: z.boolean(),
  /** Of the volume, and of all volumes of the team together. 0: no limit. */
  sizeBytes: z.number(),
  teamBytes: z.number(),
  /** A bucket instead of a volume: its id is `volumeId` and `groupId`. */
  isBucket: z.boolean().default(false),
  /** Only of a bucket: the beginning of all keys in the mount. */
  prefix: z.string().default(''),
});

export type VolumeOfSandbox = z.infer<typeof volumeSchema>;

const tenantSchema = z.object({
  teamId: z.string(),
  /** The API key that created it. Empty: unknown. */
  keyId: z.string().default(''),
  /** The id of the create that made it, if that may be repeated. Empty: it may not. */
  creationId: z.string().default(''),
  alias: z.string(),
  /** The template id that clients see, if the sandbox was made from a snapshot. Absent: `templateId` of the record. */
  shownTemplateId: z.string().optional(),
  /** Milliseconds since the Unix epoch, like `endAtMs`. */
  startedAtMs: z.number(),
  /** The deadline. It has no meaning while the sandbox is paused. A resume sets a new one. */
  endAtMs: z.number(),
  metadata: z.record(z.string(), z.string()),
  network: networkSchema,
  /** Empty: envd requires none. */
  envdAccessToken: z.string(),
  /** Empty: traffic is public. */
  trafficAccessToken: z.string(),
  /** The certificate authority for rules of its policy, in PEM. Absent: it has none yet. Not in snapshots. */
  authority: z.object({ certificate: z.string(), privateKey: z.string() }).optional(),
  lifecycle: lifecycleSchema.default(plainLifecycle),
  settings: settingsSchema.default({ envVars: {}, defaultUser: 'root', defaultWorkdir: '/' }),
});

/** The step in progress in `pausing`, `resuming` and `snapshotting`: what the next server needs to finish it. */
const workSchema = z.object({
  from: z.enum(['running', 'paused']),
  /** Boot id of the host: after a reboot there are no processes, and a disk may have lost its last writes. */
  bootId: z.string(),
  /** Id of the checkpoint that is being made. Empty: none. */
  stateId: z.string(),
  /** Id of the layer that the disk becomes. Empty: it stays a disk. */
  layerId: z.string(),
  keepMemory: z.boolean(),
  /** The caller was told that the sandbox is paused, so the pause must be completed. */
  promised: z.boolean(),
  /** Set before its processes may run again. From then on the saved memory does not match the disk. */
  mayRun: z.boolean().default(false),
});

const savedSchema = z.object({
  stateId: z.string(),
  hasMemory: z.boolean(),
  /** A checkpoint that was encrypted must not be replaced by a readable one. Absent: an older version made it. */
  isEncrypted: z.boolean().optional(),
  /** A page did not match its digest while a resume ran. It is kept for inspection when the sandbox has left it. */
  isDamaged: z.boolean().optional(),
  sizeBytes: z.number(),
  /**
   * Digests of the disk in its folder when the processes ended. Valid only while `disk` is `kept`. Absent: not digested
   * yet.
   */
  disk: diskDigestsSchema.optional(),
});

/** What the sandbox has used of the byte limit of its policy. */
const egressUsageSchema = z.object({
  bytes: z.number(),
  /** What had passed its interface when this was counted. */
  deviceBytes: z.number(),
  /** The `generation` whose interface that was. */
  generation: z.string(),
});

const causeNames = Object.keys(causes) as [Cause, ...Cause[]];

/** Fields with a default are not in records of the first version. */
export const recordSchema = z.object({
  formatVersion: z.literal(2),
  sandboxId: z.string().regex(/^[a-z0-9]{1,64}$/),
  state: z.enum(sandboxStates),
  /** The cause of its state. It has no meaning before the sandbox has a tenant. */
  cause: z.enum(causeNames).default('request'),
  /** Milliseconds since the Unix epoch. */
  stateSinceMs: z.number().default(0),
  /** 0 while it has no processes, because a host may keep more paused sandboxes than it has slots. */
  slot: z.number().int().min(0).max(lastSlot),
  templateId: z.string(),
  /** Name of the driver that isolates it. */
  driver: z.string().default(defaultIsolation),
  /** Version of its envd. A spare with an older envd is not handed out. */
  runtimeName: z.string(),
  hostToken: z.string(),
  generation: z.string().default(''),
  cpuCount: z.number(),
  memoryMb: z.number(),
  diskMb: z.number(),
  /** Ids of the layers under its own disk, topmost first. */
  layers: z.array(z.string()).default([]),
  /** `kept`: its own disk is in its folder. `new`: that disk became a layer, and the next start makes a new one. */
  disk: z.enum(['kept', 'new']).default('kept'),
  /** The root folder that its disk was made on, as given by `readRootIdentity`. Empty: unknown. */
  ground: z.string().default(''),
  /** Set while it is paused, and until a resume is complete. */
  saved: savedSchema.optional(),
  work: workSchema.optional(),
  /** Id of the checkpoint from which a lazy restore may still read pages. Empty: none. */
  pagesFrom: z.string().default(''),
  /** It is frozen until there is room on the host's disk. */
  waitsForRoom: z.boolean().default(false),
  /** Absent: it has used nothing. A fork has its own. */
  egressUsage: egressUsageSchema.optional(),
  /** By their numbers, which saved memory refers to. */
  volumes: z.array(volumeSchema).default([]),
  /** Set from `claiming` on. */
  tenant: tenantSchema.optional(),
});

/** The record of a sandbox on disk, from which a new server continues. Encrypted, because it contains tokens. */
export type HostRecord = z.infer<typeof recordSchema>;
export type Tenant = z.infer<typeof tenantSchema>;
export type TenantNetwork = z.infer<typeof networkSchema>;
export type Lifecycle = z.infer<typeof lifecycleSchema>;
export type EgressUsage = z.infer<typeof egressUsageSchema>;
export type Work = z.infer<typeof workSchema>;
export { tenantSchema };

/** The records of one host: `<directory>/<sandboxId>.json`, beside the driver's `<directory>/<sandboxId>/`. */
export interface RecordStore {
  /** Where the driver keeps the sandbox. */
  directoryOf(sandboxId: string): string;
  write(record: HostRecord): Promise<void>;
  /** The text of a record's file. */
  textOf(record: HostRecord): Promise<string>;
  remove(sandboxId: string): Promise<void>;
  /**
   * All readable records, the ids of unreadable ones, and of folders without a record. Encrypts records of versions that
   * did not. Throws `config_invalid` for a record of a newer version and `master_key_missing` without its key, because
   * this version must not remove what it cannot read.
   */
  load(): Promise<{ records: HostRecord[]; unreadable: string[]; strays: string[] }>;
  /** Moves the record and the folder of a sandbox to a folder where nothing is removed. Returns that folder. */
  setAside(sandboxId: string): Promise<string>;
  /** Whether any sandbox is set aside. */
  hasSetAside(): Promise<boolean>;
}

/**
 * Records of these states may use the reserve when the disk is full, because the step has happened or must happen. All
 * other states are intents, which are not carried out then.
 */
const urgent: readonly HostRecord['state'][] = ['running', 'paused', 'ending'];

export function createRecordStore(directory: string, reserve: DiskReserve, seal: RecordSeal): RecordStore {
  const fileOf = (sandboxId: string): string => join(directory, `${sandboxId}.json`);
  const textOf = async (record: HostRecord): Promise<string> =>
    await seal.textOf('sandbox', record.sandboxId, inFile(record));
  const store: RecordStore = {
    directoryOf: (sandboxId) => join(directory, sandboxId),
    textOf,
    async write(record) {
      // A paused sandbox survives a crash of its host. The record that its disk is written to again must survive, too.
      // Nothing is left of sandboxes in other states.
      const durable = record.state === 'paused' || record.state === 'resuming';
      const text = await textOf(record);
      const write = async (): Promise<void> => {
        await writeFileAtomic(fileOf(record.sandboxId), text, { durable });
        if (durable) await syncDirectory(directory);
      };
      try {
        await (urgent.includes(record.state) ? reserve.spend(write) : write());
      } catch (error) {
        throw errorFromNode(
          error,
          `The record of sandbox ${record.sandboxId} could not be written to the host's disk.`,
        );
      }
    },
    async remove(sandboxId) {
      await rm(fileOf(sandboxId), { force: true });
    },
    async load() {
      const records: HostRecord[] = [];
      const [unreadable, strays] = [new Set<string>(), new Set<string>()];
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (entry.name.endsWith('.tmp')) {
          await rm(join(directory, entry.name), { force: true });
        } else if (entry.isDirectory()) {
          strays.add(entry.name);
        } else if (entry.name.endsWith('.json')) {
          const id = entry.name.slice(0, -'.json'.length);
          const found = await readRecordFile(join(directory, entry.name), recordSchema, { kind: 'sandbox', id }, seal);
          if (found === undefined) unreadable.add(id);
          else records.push(found.record);
          // On a full disk it stays readable until its next step.
          if (found?.isSealed === false) await store.write(found.record).catch(() => undefined);
        }
      }
      for (const sandboxId of [...records.map((record) => record.sandboxId), ...unreadable]) strays.delete(sandboxId);
      return { records, unreadable: [...unreadable], strays: [...strays] };
    },
    // The folder is moved first: as long as the record is there, the next server repeats this.
    setAside: async (sandboxId) => await setAside(directory, [sandboxId, `${sandboxId}.json`]),
    hasSetAside: async () => await isAnythingAside(directory),
  };
  return store;
}
