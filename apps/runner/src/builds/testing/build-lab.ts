import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId, removeTree, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { sealBlobs } from '@soulbox/keyring';
import { openDiskBlobs } from '@soulbox/storage';
import { openTemplateStore } from '@soulbox/templates';
import { listHostTraces, startRunnerProcess, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { RunnerProcess } from '@soulbox/testing';

interface Event {
  readonly log?: { readonly step: string; readonly level: string; readonly message: string };
  readonly done?: {
    readonly cachedSteps?: number;
    readonly snapshot: { readonly snapshotId: string; readonly sizeBytes: string };
  };
  readonly failed?: { readonly reason: string; readonly message: string; readonly step: string };
}

/** The parsed events of a build. */
export interface Told {
  readonly buildId: string;
  readonly log: readonly { readonly step: string; readonly level: string; readonly message: string }[];
  readonly done: Event['done'];
  readonly failed: Event['failed'];
}

export interface StepDraft {
  readonly type: string;
  readonly args: readonly string[];
  readonly filesBlobKey?: string;
  readonly filesHash?: string;
  /** In base64. */
  readonly filesKey?: string;
  readonly filesMayBeReadable?: boolean;
  readonly force?: boolean;
}

/** A runner of its own, on a data folder of its own, with the base template. */
export interface BuildLab extends AsyncDisposable {
  readonly directory: string;
  readonly baseId: string;
  readonly runner: () => RunnerProcess;
  /**
   * Starts a build and gives its id at once. `request` is a RunBuildRequest in JSON form that overrides the defaults.
   */
  start(steps: readonly StepDraft[], request?: object): { readonly buildId: string; readonly told: Promise<Told> };
  build(steps: readonly StepDraft[], request?: object): Promise<Told>;
  /** Creates a sandbox from a build. */
  create(buildId: string): Promise<string>;
  /** The output of a command in a sandbox, run as its default user. */
  ask(sandboxId: string, command: string): Promise<string>;
  kill(sandboxId: string): Promise<void>;
  /** A COPY step. Its archive is made from the folder with tar(1), or is given as it is. */
  copy(
    args: readonly string[],
    archive: { readonly folder: string; readonly gzip?: boolean } | Buffer,
  ): Promise<StepDraft>;
  /** Stops the runner in order and starts the next one. */
  stop(): Promise<void>;
  /** Kills the runner with SIGKILL and starts the next one. */
  crash(): Promise<void>;
  /** Remaining kernel objects and folders of sandboxes, which should be gone. */
  leftovers(): Promise<string[]>;
}

export async function openBuildLab(instance: number, environment: Readonly<Record<string, string>>): Promise<BuildLab> {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(join(testDirectory, 'builds-'));
  const templatesDirectory = join(directory, 'templates');
  await mkdir(templatesDirectory, { mode: 0o700 });
  const base = await openTemplateStore(testTemplatesDirectory, silentLogger).find('base');
  if (base === undefined) throw new Error('no base template: run `npm test` once, which builds it');
  await symlink(join(testTemplatesDirectory, base.templateId), join(templatesDirectory, base.templateId));
  const options = { templatesDirectory, environment };
  let runner = await startRunnerProcess(instance, directory, options);
  const files = sealBlobs(await openDiskBlobs({ directory: join(directory, 'uploads') }), {
    ...{ store: 'uploads', mayBeReadable: false },
    root: { id: randomBytes(16).toString('hex'), key: randomBytes(32) },
  });

  const start: BuildLab['start'] = (steps, request = {}) => {
    const buildId = randomId(20);
    const own = { buildId, teamId: 't1', templateId: 'tpl1', cpuCount: 2, memoryMb: 512 };
    const told = runner
      .call('runBuild', { ...own, baseTemplateId: base.templateId, steps, ...request })
      .then(({ events }) => ({ buildId, ...takeApart(events as Event[]) }));
    return { buildId, told };
  };
  const listStrays = async (): Promise<string[]> => [
    ...(await listHostTraces(instance, directory)).filter((line) => !line.startsWith('nft table')),
    ...(await readdir(join(directory, 'sandboxes'))),
  ];
  return {
    directory,
    baseId: base.templateId,
    runner: () => runner,
    start,
    build: async (steps, request) => await start(steps, request).told,
    async create(buildId) {
      const request = { teamId: 't1', templateId: 'tpl1', snapshotId: buildId, timeoutSeconds: 600 };
      return ((await runner.call('createSandbox', request))['sandbox'] as { sandboxId: string }).sandboxId;
    },
    async ask(sandboxId, command) {
      return (await runner.call('shell', { sandboxId, command }))['output'] as string;
    },
    async kill(sandboxId) {
      await runner.call('killSandbox', { sandboxId });
    },
    async copy(args, archive) {
      const key = `test/${randomId(20)}`;
      await files.put(key, once(Buffer.isBuffer(archive) ? archive : await pack(directory, archive)));
      const filesKey = Buffer.from(files.keyOf(key)).toString('base64');
      return { type: 'COPY', args, filesBlobKey: key, filesHash: key, filesKey };
    },
    async stop() {
      await runner.stop();
      runner = await startRunnerProcess(instance, directory, options);
    },
    async crash() {
      await runner.kill();
      runner = await startRunnerProcess(instance, directory, options);
    },
    async leftovers() {
      for (let tries = 0; tries < 50 && (await listStrays()).length > 0; tries++) await sleep(100);
      return await listStrays();
    },
    async [Symbol.asyncDispose]() {
      await runner.stop();
      await files[Symbol.asyncDispose]();
      await removeTree(directory);
    },
  };
}

function takeApart(events: readonly Event[]): Omit<Told, 'buildId'> {
  const last = events.at(-1);
  return { log: events.flatMap(({ log }) => log ?? []), done: last?.done, failed: last?.failed };
}

async function pack(directory: string, archive: { folder: string; gzip?: boolean }): Promise<Buffer> {
  const file = join(directory, `${randomId(8)}.tar`);
  await run('tar', [archive.gzip === true ? '-czf' : '-cf', file, '-C', archive.folder, '.']);
  return await readFile(file);
}

async function* once(content: Buffer): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(content);
}
