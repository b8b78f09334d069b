import { silentLogger } from '@soulbox/base';
import { recipes } from '@soulbox/box/recipes';
import { isMadeBy, openTemplateStore } from '@soulbox/templates';
import { isThere, testDirectory, testTemplatesDirectory } from '@soulbox/testing';

/**
 * Whether a template of the server's own has been made on this machine, by the present recipe. Making one takes minutes, so tests of
 * what is in it are skipped where it is missing, and say so.
 */
export async function hasTemplate(name: string): Promise<boolean> {
  const found = await openTemplateStore(testTemplatesDirectory, silentLogger).find(name);
  const recipe = recipes.find((one) => one.name === name);
  if (found !== undefined && recipe !== undefined && isMadeBy(found, recipe)) return true;
  const command = `soulbox template make ${name} --data-dir ${testDirectory}`;
  return isThere(`template ${name} by the present recipe (${command})`, false);
}
