import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PrepareEngine } from './engine.ts';
import { workerdConfig } from './workerd-config.ts';

/** Path in the template: the binary of the npm package, without its wrapper script. */
const workerdProgram = '/opt/soulbox/edge/node_modules/@cloudflare/workerd-linux-64/bin/workerd';

export const prepareWorkerd: PrepareEngine = async (settings, paths) => {
  const sourceFile = join(paths.folder, 'function.js');
  const configFile = join(paths.folder, 'workerd.capnp');
  await writeFile(sourceFile, settings.source, { mode: 0o644 });
  await writeFile(configFile, workerdConfig(settings, paths, sourceFile), { mode: 0o644 });
  return { command: workerdProgram, args: ['serve', configFile], input: '', configFile };
};
