import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAuditSigningKey } from '@soulbox/audit';
import { Secret } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { createLogger } from '@soulbox/base/logger';
import type { Clock, SupervisedProcesses } from '@soulbox/base';
import type { BucketRecords } from '@soulbox/contract/bucket-record-service';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import type { SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { FunctionService } from '@soulbox/contract/function-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import type { SshAuthority } from '@soulbox/contract/ssh-service';
import { openRootKey, sealBlobs } from '@soulbox/keyring';
import type { Keyring, SealedBlobs } from '@soulbox/keyring';
import { openTestKeyring } from '@soulbox/keyring/testing';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { createApiKey, ensureDefaultTeam, openDiskBlobs, openDiskReserve, openSqliteRecords } from '@soulbox/storage';
import type { Records } from '@soulbox/storage';
import { newRecordsFile } from '@soulbox/storage/testing';
import { apiConfigSchema } from '../config.ts';
import type { ApiConfig } from '../config.ts';
import type { AuditParts, ReadObjectCache, StageBackup } from '../context.ts';
import { startApi } from '../start.ts';
import type { ApiOptions } from '../start.ts';
import { createScriptedRunner } from './scripted-runner.ts';
import type { ScriptedRunner } from './scripted-runner.ts';
import { createScriptedBuckets } from './scripted-buckets.ts';
import type { ScriptedBuckets } from './scripted-buckets.ts';
import { createScriptedVolumes } from './scripted-volumes.ts';
import type { ScriptedVolumes } from './scripted-volumes.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is empty or not JSON. */
  readonly json: unknown;
}

interface AskOptions {
  /** An object is sent as JSON, a string unchanged. */
  readonly body?: unknown;
  /** Null: no key. Default: a key of the first team. */
  readonly key?: string | null;
  readonly headers?: Record<string, string>;
}

/** A real API on a free port, with a real records file and a scripted runner. */
export interface TestApi extends AsyncDisposable {
  readonly url: string;
  /** Everything that the API stores. */
  readonly folder: string;
  readonly key: string;
  readonly otherKey: string;
  readonly teamId: string;
  readonly otherTeamId: string;
  readonly records: Records;
  readonly keyring: Keyring;
  /** Uploads for builds. */
  readonly files: SealedBlobs;
  readonly runner: ScriptedRunner;
  readonly volumes: ScriptedVolumes;
  readonly bucketService: ScriptedBuckets;
  /** What the API tells the bucket service. */
  readonly buckets: BucketRecords;
  readonly signedUrls: SignedUrlChecker;
  readonly resolvePlaceholders: EgressRecords['resolve'];
  readonly sandboxUses: SandboxUseReporter;
  readonly ssh: SshAuthority;
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
  /** Everything that was logged so far. */
  readLog(): Promise<string>;
  /** Stops the API and starts it again with the same file and runner. */
  restart(): Promise<void>;
}

/** The operator's token. */
export const metricsToken = 'a-token-for-the-metrics';

/** The administrator's token. */
export const adminToken = 'a-token-for-the-administrator';

/** The secret from which URLs are signed, and those of people are derived. */
export const signingRoot = new Secret('a-secret-for-signed-urls');

/** A report as a supervisor sends it. */
const supervised: SupervisedProcesses = {
  processes: [
    {
      process: 'gateway',
      figures: {
        ...{ residentBytes: 5_000_000, heapUsedBytes: 3_000_000, startTimeSeconds: 1, openDescriptors: 4 },
        ...{ maxDescriptors: undefined, droppedLogLines: 0, loopLag: undefined },
      },
    },
  ],
  restarts: [{ process: 'gateway', count: 2 }],
};

export interface TestApiOptions {
  readonly config?: Partial<ApiConfig>;
  readonly clock?: Clock;
  readonly stageBackup?: StageBackup;
  /** Of audit logs. Default: a new one. */
  readonly signingKey?: Secret;
  /** Runs before the start. */
  readonly prepare?: (made: { readonly audit: AuditParts; readonly teamId: string }) => Promise<void>;
  readonly functions?: FunctionService;
  /** Default: there is no cache of objects. */
  readonly readObjectCache?: ReadObjectCache;
  /** Of the server at the provider of sign-in. */
  readonly oidcClientSecret?: string;
  /** See `ApiOptions`. */
  readonly beforeRoutes?: ApiOptions['beforeRoutes'];
}

export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-api-'));
  newRecordsFile(join(folder, 'records.sqlite'));
  const records = openSqliteRecords(join(folder, 'records.sqlite'));
  const team = await ensureDefaultTeam(records);
  const other = { id: 'otherteam', name: 'other', isDefault: false, createdAt: 1 };
  await records.teams.create(other);
  const key = (await createApiKey(records, team, 'first')).key.reveal();
  const otherKey = (await createApiKey(records, other, 'second')).key.reveal();
  const runner = createScriptedRunner();
  const volumes = createScriptedVolumes();
  const bucketService = createScriptedBuckets();
  const keyring = await openTestKeyring(records);
  const stores = {
    uploads: await openDiskBlobs({ directory: join(folder, 'uploads') }),
    functions: await openDiskBlobs({ directory: join(folder, 'functions') }),
  };
  const files = sealBlobs(stores.uploads, {
    ...{ store: 'uploads', mayBeReadable: false },
    root: await openRootKey(records.blobRootKeys, keyring, { now: 1, stores }),
  });
  const logFile = join(folder, 'api.log');
  const audit = {
    signingKey: options.signingKey ?? (await openAuditSigningKey(join(folder, 'secrets'))),
    directory: join(folder, 'audit'),
  };
  const start = () =>
    startApi({
      config: loadConfig(apiConfigSchema, {}, options.config),
      records,
      keyring,
      runner: runner.client,
      files,
      fileKeys: files,
      reserve: openDiskReserve(join(folder, 'reserve')),
      outside: createOutsidePolicy(),
      metricsToken: new Secret(metricsToken),
      adminToken: new Secret(adminToken),
      signingRoot,
      oidcClientSecret: options.oidcClientSecret === undefined ? undefined : new Secret(options.oidcClientSecret),
      audit,
      readObjectCache: options.readObjectCache,
      ssh: { port: 2222, hostKey: 'ssh-ed25519 AAAA' },
      stageBackup: options.stageBackup,
      functions: options.functions,
      beforeRoutes: options.beforeRoutes,
      volumes,
      bucketService,
      supervised: () => supervised,
      listen: { host: '127.0.0.1', port: 0 },
      logger: createLogger({ level: 'debug', file: logFile }),
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    });
  await options.prepare?.({ audit, teamId: team.id });
  let api = await start();

  const ask: TestApi['ask'] = async (method, path, { body, key: given, headers } = {}) => {
    const presented = given === undefined ? key : given;
    const answer = await fetch(api.address + path, {
      method,
      headers: {
        ...(presented === null ? {} : { 'x-api-key': presented }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isWritten(body) ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: answer.status, headers: answer.headers, text, json };
  };

  return {
    get url() {
      return api.address;
    },
    get signedUrls() {
      return api.signedUrls;
    },
    get resolvePlaceholders() {
      return api.resolvePlaceholders;
    },
    get sandboxUses() {
      return api.sandboxUses;
    },
    get ssh() {
      return api.ssh;
    },
    get buckets() {
      return api.buckets;
    },
    ...{ folder, key, otherKey, teamId: team.id, otherTeamId: other.id, records, keyring, files, runner, volumes, ask },
    bucketService,
    readLog: () => readFile(logFile, 'utf8'),
    restart: async () => {
      await api[Symbol.asyncDispose]();
      api = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await records[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

/** Waits at most 5 s until `check` returns true. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = Date.now() + 5000;
  while (!(await check())) {
    if (Date.now() > giveUp) throw new Error('It did not come true within 5 s.');
    await sleep(10);
  }
}

/** Sent as it is. */
function isWritten(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Uint8Array;
}
