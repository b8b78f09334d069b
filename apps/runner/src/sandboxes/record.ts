import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError, writeFileAtomic } from '@soulbox/base';
import { lastSlot } from './slots.ts';

const networkSchema = z.object({
  allowInternetAccess: z.boolean().optional(),
  allowOut: z.array(z.string()),
  denyOut: z.array(z.string()),
  allowPublicTraffic: z.boolean().optional(),
  maskRequestHost: z.string(),
});

const tenantSchema = z.object({
  teamId: z.string(),
  alias: z.string(),
  /** Milliseconds since the Unix epoch, like `endAtMs`. */
  startedAtMs: z.number(),
  endAtMs: z.number(),
  metadata: z.record(z.string(), z.string()),
  network: networkSchema,
  /** Empty: envd asks for none. */
  envdAccessToken: z.string(),
  /** Empty: traffic is public. */
  trafficAccessToken: z.string(),
});

const recordSchema = z.object({
  formatVersion: z.literal(1),
  sandboxId: z.string().regex(/^[a-z0-9]{1,64}$/),
  state: z.enum(['booting', 'warm', 'claiming', 'running', 'ending']),
  slot: z.number().int().min(1).max(lastSlot),
  templateId: z.string(),
  /** Folder of the envd it runs; a spare of an older envd is not handed out. */
  runtimeDirectory: z.string(),
  hostToken: z.string(),
  cpuCount: z.number(),
  memoryMb: z.number(),
  diskMb: z.number(),
  /** Set from `claiming` on. */
  tenant: tenantSchema.optional(),
});

/** What the runner keeps of a sandbox on disk (mode 0600: it holds tokens), so that a new server can go on with it. */
export type SandboxRecord = z.infer<typeof recordSchema>;
export type Tenant = z.infer<typeof tenantSchema>;
export type TenantNetwork = z.infer<typeof networkSchema>;

/** The records of one host: `<directory>/<sandboxId>.json`, beside the driver's `<directory>/<sandboxId>/`. */
export interface RecordStore {
  /** Where the driver keeps the sandbox. */
  directoryOf(sandboxId: string): string;
  write(record: SandboxRecord): Promise<void>;
  remove(sandboxId: string): Promise<void>;
  /** Every readable record, and the ids of folders and files that have no readable one. */
  load(): Promise<{ records: SandboxRecord[]; strays: string[] }>;
}

export function createRecordStore(directory: string): RecordStore {
  const fileOf = (sandboxId: string): string => join(directory, `${sandboxId}.json`);
  return {
    directoryOf: (sandboxId) => join(directory, sandboxId),
    async write(record) {
      await writeFileAtomic(fileOf(record.sandboxId), `${JSON.stringify(record)}\n`);
    },
    async remove(sandboxId) {
      await rm(fileOf(sandboxId), { force: true });
    },
    async load() {
      const records: SandboxRecord[] = [];
      const strays = new Set<string>();
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (entry.name.endsWith('.tmp')) {
          await rm(join(directory, entry.name), { force: true });
        } else if (entry.isDirectory()) {
          strays.add(entry.name);
        } else if (entry.name.endsWith('.json')) {
          const record = await readRecord(join(directory, entry.name));
          if (record === undefined) strays.add(entry.name.slice(0, -'.json'.length));
          else records.push(record);
        }
      }
      for (const record of records) strays.delete(record.sandboxId);
      return { records, strays: [...strays] };
    },
  };
}

async function readRecord(path: string): Promise<SandboxRecord | undefined> {
  try {
    return recordSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || isNodeError(error)) return undefined;
    throw error;
  }
}
