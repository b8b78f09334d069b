import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError } from '@soulbox/base';
import { runNode } from '../harness/cli.ts';
import { aliasOf } from './install.ts';
import type { InstalledClient } from './install.ts';
import type { Outcomes } from './table.ts';

const scenarioMs = 120_000;

/** Runs the package's scenario with one version, in a separate process that has only `environment`. */
export async function runVersion(
  { client, version, directory }: InstalledClient,
  environment: Readonly<Record<string, string>>,
): Promise<Outcomes> {
  const name = aliasOf(version);
  const target = client.isProgram ? await programOf(join(directory, 'node_modules', name)) : name;
  const output = await runNode([join(directory, client.scenario), target], environment, '', scenarioMs);
  const line = output.stdout.trim().split('\n').at(-1) ?? '';
  if (output.code !== 0 || !line.startsWith('{'))
    throw new CommandError([client.name, version], output.code ?? undefined, output.stderr, output.stdout);
  return JSON.parse(line) as Outcomes;
}

async function programOf(directory: string): Promise<string> {
  const { bin } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  return join(directory, Object.values(bin)[0] ?? '');
}
