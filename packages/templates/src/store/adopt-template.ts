import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { withStoreLock } from './store-lock.ts';
import { createDraft, discardDraft } from './template-draft.ts';
import type { TemplateReader } from './template-reader.ts';
import { parseTemplateFile } from './template.ts';

/**
 * Publishes a template that another store has made, under its id. `fill` makes its folder, named by the id, in the folder
 * that it gets. Does nothing if there is a template with this id by then. If it throws, nothing is left.
 */
export async function adoptTemplate(
  directory: string,
  reader: TemplateReader,
  prepareDraft: (folder: string) => void,
  templateId: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const draft = await createDraft(directory, templateId, prepareDraft);
  try {
    await fill(draft.directory);
    const made = join(draft.directory, templateId);
    const { templateId: named } = parseTemplateFile(await readFile(join(made, 'template.json'), 'utf8'));
    if (named !== templateId) throw new Error(`the template ${templateId} names the id ${named}`);
    await withStoreLock(directory, async () => {
      if ((await reader.find(templateId)) === undefined) await rename(made, join(directory, templateId));
    });
  } finally {
    await discardDraft(draft.directory);
  }
}
