import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorFromNode, writeFileAtomic } from '@soulbox/base';
import { causes, defaultIsolation } from '@soulbox/contract';
import type { Cause } from '@soulbox/contract';
import type { DiskReserve } from '@soulbox/storage';
import { diskDigestsSchema } from '@soulbox/checkpoints';
import { sandboxStates } from './lifecycle.ts';
import { isAnythingAside, readRecordFile, setAside } from './record-files.ts';
import { lastSlot } from './slots.ts';
import { syncDirectory } from './sync-directory.ts';

const networkSchema = z.object({
  allowInternetAccess: z.boolean().optional(),
  allowOut: z.array(z.string()),
  denyOut: z.array(z.string()),
  allowPublicTraffic: z.boolean().optional(),
  maskRequestHost: z.string(),
});

const lifecycleSchema = z.object({
  /** At its deadline it is paused, not killed. */
  pauseOnTimeout: z.boolean(),
  /** Whether such a pause keeps the memory. */
  pauseMemory: z.boolean(),
  /** A request for it wakes it. */
  autoResume: z.boolean(),
  /** 0: never. */
  idleTimeoutSeconds: z.number(),
  /** What its creator or last resumer asked for. */
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

/** What envd was told of the tenant, for a start on the kept files and for copies. */
const settingsSchema = z.object({
  envVars: z.record(z.string(), z.string()),
  defaultUser: z.string(),
  defaultWorkdir: z.string(),
});

const tenantSchema = z.object({
  teamId: z.string(),
  alias: z.string(),
  /** What its template is called to the outside, if it was made from a snapshot. Absent: by the id of the record. */
  shownTemplateId: z.string().optional(),
  /** Milliseconds since the Unix epoch, like `endAtMs`. */
  startedAtMs: z.number(),
  /** The deadline. It means nothing while the sandbox is paused; a resume sets another. */
  endAtMs: z.number(),
  metadata: z.record(z.string(), z.string()),
  network: networkSchema,
  /** Empty: envd asks for none. */
  envdAccessToken: z.string(),
  /** Empty: traffic is public. */
  trafficAccessToken: z.string(),
  lifecycle: lifecycleSchema.default(plainLifecycle),
  settings: settingsSchema.default({ envVars: {}, defaultUser: 'root', defaultWorkdir: '/' }),
});

/** The step that is under way in `pausing`, `resuming` and `snapshotting`: what the next server needs to end it. */
const workSchema = z.object({
  from: z.enum(['running', 'paused']),
  /** Of the host: after a reboot there are no processes, and a disk may have lost its last writes. */
  bootId: z.string(),
  /** The state being made. Empty: none. */
  stateId: z.string(),
  /** What the disk becomes. Empty: it stays a disk. */
  layerId: z.string(),
  keepMemory: z.boolean(),
  /** The caller has been told that it is paused: the pause must be completed. */
  promised: z.boolean(),
  /** Set before its processes may run on: from then on what was saved of them does not belong to the disk. */
  mayRun: z.boolean().default(false),
});

const savedSchema = z.object({
  stateId: z.string(),
  hasMemory: z.boolean(),
  sizeBytes: z.number(),
  /** What the disk in its folder held when the processes ended. Meant only while `disk` is `kept`. Absent: not digested yet. */
  disk: diskDigestsSchema.optional(),
});

const causeNames = Object.keys(causes) as [Cause, ...Cause[]];

/** What has a default is not in records of the first version. */
export const recordSchema = z.object({
  formatVersion: z.literal(2),
  sandboxId: z.string().regex(/^[a-z0-9]{1,64}$/),
  state: z.enum(sandboxStates),
  /** Why it is in its state; nothing before it is a tenant's. */
  cause: z.enum(causeNames).default('request'),
  /** Milliseconds since the Unix epoch. */
  stateSinceMs: z.number().default(0),
  /** 0 while it has no processes: a host may keep more paused sandboxes than it has slots. */
  slot: z.number().int().min(0).max(lastSlot),
  templateId: z.string(),
  /** Name of the driver that walls it off. */
  driver: z.string().default(defaultIsolation),
  /** Version of the envd it runs; a spare of an older envd is not handed out. */
  runtimeName: z.string(),
  hostToken: z.string(),
  generation: z.string().default(''),
  cpuCount: z.number(),
  memoryMb: z.number(),
  diskMb: z.number(),
  /** Ids of the frozen disks under its own, topmost first. */
  layers: z.array(z.string()).default([]),
  /** `kept`: a disk of its own stands in its folder. `new`: it became a layer, and the next start makes another. */
  disk: z.enum(['kept', 'new']).default('kept'),
  /** The root folder that its disk was made on, as `readRootIdentity` knows it. Empty: nobody knows. */
  ground: z.string().default(''),
  /** Set while it is paused, and until a resume is complete. */
  saved: savedSchema.optional(),
  work: workSchema.optional(),
  /** The state whose pages its memory may still be reading, where a restore is lazy. Empty: none. */
  pagesFrom: z.string().default(''),
  /** It stands still until there is room on the host's disk. */
  waitsForRoom: z.boolean().default(false),
  /** Set from `claiming` on. */
  tenant: tenantSchema.optional(),
});

/** What the runner keeps of a sandbox on disk (mode 0600: it holds tokens), so that a new server can go on with it. */
export type SandboxRecord = z.infer<typeof recordSchema>;
export type Tenant = z.infer<typeof tenantSchema>;
export type TenantNetwork = z.infer<typeof networkSchema>;
export type Lifecycle = z.infer<typeof lifecycleSchema>;
export type Work = z.infer<typeof workSchema>;
export { tenantSchema };

/** The records of one host: `<directory>/<sandboxId>.json`, beside the driver's `<directory>/<sandboxId>/`. */
export interface RecordStore {
  /** Where the driver keeps the sandbox. */
  directoryOf(sandboxId: string): string;
  write(record: SandboxRecord): Promise<void>;
  remove(sandboxId: string): Promise<void>;
  /**
   * Every readable record, the ids of those that cannot be read, and of folders without one. Throws `config_invalid` for a record of
   * a newer version: what this one cannot read it must not remove.
   */
  load(): Promise<{ records: SandboxRecord[]; unreadable: string[]; strays: string[] }>;
  /** Moves the record and the folder of a sandbox to where nobody removes them. Gives that place. */
  setAside(sandboxId: string): Promise<string>;
  /** Whether there are any. */
  hasSetAside(): Promise<boolean>;
}

/** What has happened, or must: these may use the reserve when the disk is full. All others are intents, and nothing is done of them then. */
const urgent: readonly SandboxRecord['state'][] = ['running', 'paused', 'ending'];

export function createRecordStore(directory: string, reserve: DiskReserve): RecordStore {
  const fileOf = (sandboxId: string): string => join(directory, `${sandboxId}.json`);
  return {
    directoryOf: (sandboxId) => join(directory, sandboxId),
    async write(record) {
      // A paused sandbox outlives its host's crash; so must the word that its disk is written to again. Of all others nothing is left.
      const durable = record.state === 'paused' || record.state === 'resuming';
      const write = async (): Promise<void> => {
        await writeFileAtomic(fileOf(record.sandboxId), `${JSON.stringify(record)}\n`, { durable });
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
      const records: SandboxRecord[] = [];
      const [unreadable, strays] = [new Set<string>(), new Set<string>()];
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (entry.name.endsWith('.tmp')) {
          await rm(join(directory, entry.name), { force: true });
        } else if (entry.isDirectory()) {
          strays.add(entry.name);
        } else if (entry.name.endsWith('.json')) {
          const record = await readRecordFile(join(directory, entry.name), recordSchema);
          if (record === undefined) unreadable.add(entry.name.slice(0, -'.json'.length));
          else records.push(record);
        }
      }
      for (const sandboxId of [...records.map((record) => record.sandboxId), ...unreadable]) strays.delete(sandboxId);
      return { records, unreadable: [...unreadable], strays: [...strays] };
    },
    // The folder first: as long as the record is there, the next server does it again.
    setAside: async (sandboxId) => await setAside(directory, [sandboxId, `${sandboxId}.json`]),
    hasSetAside: async () => await isAnythingAside(directory),
  };
}
