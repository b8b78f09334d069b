import { mkdirSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId, removeTree, run, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { Logger } from '@soulbox/base';
import { adoptTemplate } from './adopt-template.ts';
import { withStoreLock } from './store-lock.ts';
import { createDraft, discardDraft, removedName, sweepDrafts } from './template-draft.ts';
import type { TemplateDraft } from './template-draft.ts';
import { createTemplateReader } from './template-reader.ts';
import type { TemplateReader } from './template-reader.ts';
import { parseTemplateFile, parseTemplateName } from './template.ts';
import type { Template, TemplateFile } from './template.ts';
import { isRootfsMounted } from './rootfs-in-use.ts';

/** What the creator of a template knows once its rootfs is complete. Missing values get the default. */
export type TemplateFacts = Partial<
  Pick<
    TemplateFile,
    | 'cpuCount'
    | 'memoryMb'
    | 'diskMb'
    | 'defaultUser'
    | 'defaultWorkdir'
    | 'environment'
    | 'isolation'
    | 'startCommand'
    | 'readyCommand'
    | 'imageDigest'
  >
>;

export interface AddTemplate {
  /** Absent: it is found only by its id. */
  readonly name?: string;
  readonly source: string;
  /** Takes the name from the template that has it. That template stays under its id, for the sandboxes that use it. */
  readonly replace?: boolean;
  /** Fills the draft's `rootfs`. If it throws, nothing is left. */
  readonly fill: (draft: TemplateDraft) => Promise<TemplateFacts>;
}

export interface TemplateStore extends TemplateReader {
  readonly directory: string;
  /** Creates a template and publishes it atomically. Throws `name_taken`, `bad_request`. */
  add(request: AddTemplate): Promise<Template>;
  /**
   * Throws `template_not_found`. Throws `illegal_transition` while a sandbox has it mounted or `isNeeded` returns true:
   * paused sandboxes and snapshots also depend on it, but have nothing mounted.
   */
  remove(idOrName: string, isNeeded?: (templateId: string) => boolean): Promise<Template>;
  /**
   * Publishes a template of another store under its id. `fill` makes its folder, named by the id, in the folder that it
   * gets. Does nothing if the template is there by then. If it throws, nothing is left.
   */
  adopt(templateId: string, fill: (folder: string) => Promise<void>): Promise<void>;
  /** Removes what a killed process left incomplete. */
  sweep(): Promise<string[]>;
}

const defaults = { cpuCount: 2, memoryMb: 1024, diskMb: 10_240, defaultUser: 'user', environment: {} };

export interface StoreOptions {
  /** Is given the empty folder of each new template, for example to encrypt it. */
  readonly prepareDraft?: (folder: string) => void;
}

/** Opens the store in `directory` (DATA/templates) and creates the folder if it is missing. Keeps nothing open. */
export function openTemplateStore(
  directory: string,
  logger: Logger = silentLogger,
  { prepareDraft = () => undefined }: StoreOptions = {},
): TemplateStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const reader = createTemplateReader(directory, logger);
  return {
    ...reader,
    directory,
    add: async (request) => await addTemplate({ directory, reader, prepareDraft }, request),
    adopt: async (templateId, fill) => await adoptTemplate(directory, reader, prepareDraft, templateId, fill),
    remove: async (idOrName, isNeeded = () => false) => await removeTemplate(directory, reader, { idOrName, isNeeded }),
    sweep: async () => await sweepDrafts(directory),
  };
}

interface StoreParts extends Required<StoreOptions> {
  readonly directory: string;
  readonly reader: TemplateReader;
}

async function addTemplate({ directory, reader, prepareDraft }: StoreParts, request: AddTemplate): Promise<Template> {
  if (request.name !== undefined) parseTemplateName(request.name);
  // Checked before the work, so that nobody waits minutes for a refusal, and again under the lock.
  await refuseTakenName(reader, request);
  const templateId = randomId(20);
  const draft = await createDraft(directory, templateId, prepareDraft);
  try {
    const file = await fillDraft(draft, templateId, request);
    const target = join(directory, templateId);
    await withStoreLock(directory, async () => {
      const holder = await refuseTakenName(reader, request);
      await rename(draft.directory, target);
      if (holder !== undefined) await dropName(directory, holder, request.name ?? '');
    });
    await removeTree(join(target, 'owner.json'));
    return { ...file, rootfs: join(target, 'rootfs') };
  } catch (error) {
    await discardDraft(draft.directory);
    throw error;
  }
}

/** Returns the template that has the name, if it may be replaced. */
async function refuseTakenName(reader: TemplateReader, request: AddTemplate): Promise<Template | undefined> {
  if (request.name === undefined) return undefined;
  const holder = await reader.find(request.name);
  if (holder === undefined || request.replace === true) return holder;
  throw new SoulBoxError(
    'name_taken',
    `A template named "${request.name}" already exists (${holder.templateId}). Choose another name, or replace it with --force.`,
  );
}

async function fillDraft(draft: TemplateDraft, templateId: string, request: AddTemplate): Promise<TemplateFile> {
  const facts = { ...defaults, ...(await request.fill(draft)) };
  const file: TemplateFile = {
    formatVersion: 1,
    templateId,
    names: request.name === undefined ? [] : [request.name],
    createdAt: new Date().toISOString(),
    source: request.source,
    defaultWorkdir: facts.defaultUser === 'root' ? '/root' : `/home/${facts.defaultUser}`,
    ...facts,
    sizeBytes: await measure(draft.rootfs),
  };
  await writeTemplateFile(draft.directory, file);
  return file;
}

async function dropName(directory: string, holder: Template, name: string): Promise<void> {
  const names = holder.names.filter((other) => other !== name);
  await writeTemplateFile(join(directory, holder.templateId), { ...holder, names });
}

async function removeTemplate(
  directory: string,
  reader: TemplateReader,
  { idOrName, isNeeded }: { idOrName: string; isNeeded: (templateId: string) => boolean },
): Promise<Template> {
  const template = await reader.find(idOrName);
  if (template === undefined) {
    throw new SoulBoxError(
      'template_not_found',
      `Template "${idOrName}" was not found. List the templates with \`soulbox template list\`.`,
    );
  }
  if (isNeeded(template.templateId) || (await isRootfsMounted(template.rootfs))) {
    throw new SoulBoxError(
      'illegal_transition',
      `Template "${idOrName}" (${template.templateId}) is in use by a sandbox or a snapshot. Delete those first.`,
    );
  }
  const doomed = join(directory, removedName(template.templateId));
  await rename(join(directory, template.templateId), doomed);
  await removeTree(doomed);
  return template;
}

async function writeTemplateFile(directory: string, file: TemplateFile): Promise<void> {
  // Parsed first: this drops everything that is not part of the file and refuses what could not be read again.
  const text = `${JSON.stringify(parseTemplateFile(JSON.stringify(file)), undefined, 2)}\n`;
  await writeFileAtomic(join(directory, 'template.json'), text, { durable: true });
}

async function measure(rootfs: string): Promise<number> {
  const output = await run('du', ['--summarize', '--block-size=1', '--one-file-system', '--', rootfs]);
  return Number.parseInt(output, 10);
}
