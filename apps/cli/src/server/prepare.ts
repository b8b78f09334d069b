import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { installLauncher, launcherPath, prepareHost } from '@soulbox/host';
import { readInstallation } from '@soulbox/host/installation';
import { openDiskReserve } from '@soulbox/storage';
import { baseRecipe, ensureTemplate, openTemplateStore } from '@soulbox/templates';
import type { Folders } from '../config.ts';
import { createProgress } from '../output/progress.ts';

/** Makes `sudo soulbox` work in any folder. A package contains its own command. */
async function offerLauncher(): Promise<void> {
  const { form, root } = readInstallation();
  if (form !== 'clone') return;
  const state = await installLauncher(root);
  if (state === 'installed') console.error(`Installed ${launcherPath}.`);
  if (state === 'foreign') console.error(`Warning: ${launcherPath} does not belong to SoulBox and was not changed.`);
  if (state === 'other-clone')
    console.error(`Warning: ${launcherPath} runs another clone of SoulBox and was not changed.`);
}

/** Prepares the host and makes the base template if it is missing. Takes 0.1 s when nothing needs to be done. */
export async function prepareEverything(
  folders: Folders,
  options: { install: boolean; logger: Logger; launcher: boolean },
): Promise<void> {
  openDiskReserve(join(folders.dataDirectory, 'reserve')).makeRoom();
  {
    using progress = createProgress('Preparing the host:');
    const findings = await prepareHost({
      ...folders,
      install: options.install,
      onProgress: (step) => progress.step(step),
    });
    for (const { title, detail, startsAnyway } of findings)
      if (startsAnyway === true) console.error(`Warning: ${title}: ${detail}.`);
  }
  if (options.launcher) await offerLauncher();
  using progress = createProgress('Building the base template:');
  const store = openTemplateStore(folders.templatesDirectory, options.logger);
  await store.sweep();
  await ensureTemplate(store, baseRecipe, { logger: options.logger, onProgress: (step) => progress.step(step) });
}
