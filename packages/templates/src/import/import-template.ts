import { chmod, chown, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { Account } from '../rootfs/accounts.ts';
import { parsePasswd } from '../rootfs/accounts.ts';
import { existsInRootfs, makeRootfsDirectory, readRootfsFile } from '../rootfs/files.ts';
import { prepareRootfs } from '../rootfs/prepare-rootfs.ts';
import { resolveInRootfs } from '../rootfs/resolve.ts';
import { openScratchDisk, releaseScratchDisk } from '../store/scratch-disk.ts';
import type { TemplateDraft } from '../store/template-draft.ts';
import type { AddTemplate, TemplateFacts, TemplateStore } from '../store/template-store.ts';
import type { Template } from '../store/template.ts';
import { emptyImageConfig } from './image-config.ts';
import type { ImageConfig } from './image-config.ts';
import { parseSource } from './parse-source.ts';
import type { ImportSource } from './parse-source.ts';
import { unpackImage } from './unpack-image.ts';
import type { RegistryOptions } from './skopeo.ts';
import { unpackTar } from './unpack-tar.ts';

export interface ImportLimits {
  /** Bytes of the image and its unpacked content together. */
  readonly maxBytes: number;
  /** Files, folders and links. */
  readonly maxEntries: number;
  /** For fetching and for unpacking, each. */
  readonly timeoutMs: number;
}

export const defaultImportLimits: ImportLimits = {
  maxBytes: 32 * 1024 ** 3,
  maxEntries: 2_000_000,
  timeoutMs: 30 * 60_000,
};

export interface ImportOptions extends RegistryOptions {
  readonly onProgress: (step: string) => void;
  readonly logger: Logger;
  /** Takes the name from the template that has it. */
  readonly replace?: boolean;
  readonly limits?: Partial<ImportLimits>;
  /** The defaults of its sandboxes, if their creator does not specify these values. */
  readonly defaults?: Pick<TemplateFacts, 'cpuCount' | 'memoryMb' | 'diskMb' | 'isolation'>;
}

/**
 * Creates a template from `oci:DIR[:TAG]`, `docker://IMAGE` or `tar:FILE`. The archive counts as hostile: it is
 * unpacked with a hard limit of bytes and files, none of its programs is run, and device nodes in it are left out.
 *
 * Throws `bad_request`, `name_taken`, `file_not_found`, `limit_exceeded`; then nothing of it is left.
 */
export async function importTemplate(
  store: TemplateStore,
  name: string,
  sourceText: string,
  options: ImportOptions,
): Promise<Template> {
  const source = parseSource(sourceText);
  return await addTemplate(store, source, options, {
    name,
    replace: options.replace ?? false,
    fill: async (draft) => ({ ...(await fillFromSource(draft, source, options)), ...options.defaults }),
  });
}

/**
 * Creates the root file system that template builds start from, from the image that `reference`, such as
 * `docker://HOST/NAME@sha256:...`, names by its digest. Throws like `importTemplate`.
 */
export async function importImage(
  store: TemplateStore,
  reference: string,
  imageDigest: string,
  options: ImportOptions,
): Promise<Template> {
  const source = parseSource(reference);
  return await addTemplate(store, source, options, {
    fill: async (draft) => {
      const facts = await fillFromSource(draft, source, options);
      await openForBuilds(draft.rootfs);
      return { ...facts, ...options.defaults, imageDigest };
    },
  });
}

/** Like E2B's templates: `user` may install into /usr/local without sudo, and everybody may write to /code. */
async function openForBuilds(rootfs: string): Promise<void> {
  await makeRootfsDirectory(rootfs, '/code', 0o777);
  await makeRootfsDirectory(rootfs, '/usr/local', 0o755);
  const local = await resolveInRootfs(rootfs, '/usr/local');
  // find follows no link, and nothing else changes the tree meanwhile.
  if (local !== undefined) await run('find', [local, '-xdev', '!', '-type', 'l', '-exec', 'chmod', '777', '{}', '+']);
}

async function addTemplate(
  store: TemplateStore,
  source: ImportSource,
  options: ImportOptions,
  request: Omit<AddTemplate, 'source'>,
): Promise<Template> {
  const startedAt = Date.now();
  const template = await store.add({ ...request, source: source.text });
  const { templateId, sizeBytes } = template;
  if (!(await existsInRootfs(template.rootfs, '/bin/bash'))) {
    options.logger.warn({ templateId }, 'template has no /bin/bash, which the E2B clients need to run commands');
  }
  options.logger.info({ templateId, sizeBytes, durationMs: Date.now() - startedAt }, 'template imported');
  return template;
}

async function fillFromSource(
  draft: TemplateDraft,
  source: ImportSource,
  options: ImportOptions,
): Promise<TemplateFacts> {
  const limits = { ...defaultImportLimits, ...options.limits };
  const scratch = await openScratchDisk(draft.directory, limits.maxBytes, limits.maxEntries);
  const unpacking = { ...options, timeoutMs: limits.timeoutMs, what: source.text };
  const { rootfs, config } =
    source.kind === 'image'
      ? await unpackImage(source.reference, scratch, unpacking)
      : { rootfs: await unpackTar(source.file, scratch, unpacking), config: emptyImageConfig };
  await dropDevices(rootfs);
  options.onProgress('copying');
  await run('cp', ['--archive', '--no-target-directory', '--', rootfs, draft.rootfs], {
    timeoutMs: limits.timeoutMs,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  await releaseScratchDisk(draft.directory);
  await rm(join(draft.directory, 'scratch'), { recursive: true });
  // The root folder of an archive may have any owner and mode, and a sandbox is useless if only root may enter its `/`.
  await chown(draft.rootfs, 0, 0);
  await chmod(draft.rootfs, 0o755);
  const account = await prepareRootfs(draft.rootfs);
  return await factsFrom(draft.rootfs, config, account);
}

/** A sandbox gets its own /dev, and on the host a device node in a data folder would only be a risk. */
async function dropDevices(rootfs: string): Promise<void> {
  await run('find', [rootfs, '-xdev', '(', '-type', 'b', '-o', '-type', 'c', ')', '-delete'], { timeoutMs: 600_000 });
}

async function factsFrom(rootfs: string, config: ImageConfig, account: Account): Promise<TemplateFacts> {
  const accounts = parsePasswd((await readRootfsFile(rootfs, '/etc/passwd')) ?? '');
  const [wanted = ''] = config.user.split(':');
  // A numeric uid that is not in the image's passwd is common; nobody could log in as it, so `user` replaces it.
  const user = accounts.find((entry) => entry.name === wanted || String(entry.uid) === wanted) ?? account;
  const home = user.home.startsWith('/') ? user.home : '/';
  const workdir = config.workdir === '' ? home : config.workdir;
  // Container engines do the same when an image names a folder that it does not contain.
  await makeRootfsDirectory(rootfs, workdir, 0o755, user);
  return {
    defaultUser: user.name,
    defaultWorkdir: workdir,
    environment: config.environment,
  };
}
