import { silentLogger } from '@soulbox/base/logger';
import { recipes } from '@soulbox/box/recipes';
import { isMadeBy, openTemplateStore } from '@soulbox/templates';
import { isThere, testDirectory, testTemplatesDirectory } from '@soulbox/testing';

/**
 * Whether a template of the server was built on this machine from the current recipe. Building one takes minutes, so
 * tests of its contents are skipped if it is missing, and print the reason.
 */
export async function hasTemplate(name: string): Promise<boolean> {
  const found = await openTemplateStore(testTemplatesDirectory, silentLogger).find(name);
  const recipe = recipes.find((one) => one.name === name);
  if (found !== undefined && recipe !== undefined && isMadeBy(found, recipe)) return true;
  const command = `soulbox template make ${name} --data-dir ${testDirectory}`;
  return isThere(`template ${name} by the present recipe (${command})`, false);
}
