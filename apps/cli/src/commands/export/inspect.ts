import { createReadStream } from 'node:fs';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { dataBytesOf, isSigned, openExport, unusable } from '@soulbox/contract/export-file';
import { jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { openExported } from '../../exported/open-exported.ts';
import type { Exported } from '../../exported/open-exported.ts';
import { pathFromText, showPath } from '../../exported/show-path.ts';
import { abortOnSignal } from '../../output/abort-on-signal.ts';
import { renderFacts } from '../../output/facts.ts';
import { showBytes } from '../../output/table.ts';
import { writeOutput } from '../../output/write-output.ts';
import { printDifferences } from './print-differences.ts';

export const inspectExport = defineCommand({
  meta: {
    name: 'inspect',
    description:
      'Show what an export file has, without starting it and without a server. Files of the template are not in it',
    examples: [
      'soulbox inspect shop.soulbox',
      'soulbox inspect shop.soulbox ls /home/user',
      'soulbox inspect shop.soulbox cat /etc/hostname',
    ],
  },
  args: {
    file: { type: 'positional', required: true, description: 'The export file' },
    action: {
      type: 'positional',
      required: false,
      description:
        'ls: list a folder; cat: print a file; diff: what was changed in the template, or differs in another export',
    },
    path: { type: 'positional', required: false, description: 'The folder, file, or other export' },
    json: jsonArg,
  },
  async run({ args: { file, action, path, json } }) {
    if (action === undefined) {
      await showFacts(file, json === true);
      return;
    }
    if (!['ls', 'cat', 'diff'].includes(action))
      throw new UsageError(`${JSON.stringify(action)} is not ls, cat or diff.`);
    const stop = abortOnSignal();
    await using exported = await openExported(createReadStream(file, { signal: stop }), stop);
    if (action === 'ls') listFolder(exported, pathFromText(path ?? '/'), json === true);
    else if (action === 'cat') await printFile(exported, pathFromText(path ?? ''), stop);
    else if (path === undefined) listChanges(exported, json === true);
    else {
      await using other = await openExported(createReadStream(path, { signal: stop }), stop);
      await printDifferences(exported, other, json === true);
    }
  },
});

async function showFacts(file: string, isJson: boolean): Promise<void> {
  const { manifest, manifestBytes, signature } = await openExport(createReadStream(file));
  if (!isSigned(manifestBytes, signature)) throw unusable('its signature does not match');
  const { source, sandbox, template, memory, leftOut, parts, exportedAt } = manifest;
  const layers = parts.filter(({ kind }) => kind === 'layer').length;
  const facts = {
    ...{ key: signature.key, exportedAt, ...source, ...sandbox },
    ...{ template: template.names[0] ?? template.id, templateSource: template.source, layers },
    ...{ hasMemory: memory !== undefined, dataBytes: dataBytesOf(manifest), leftOut },
  };
  if (isJson) console.log(JSON.stringify(facts));
  else console.log(renderFacts({ ...facts, dataBytes: showBytes(facts.dataBytes) }));
}

const letters = { file: '-', folder: 'd', link: 'l', device: 'c', other: '?', deleted: 'x' } as const;

function listFolder({ files }: Exported, folder: string, isJson: boolean): void {
  const here = files.get(folder);
  if (folder !== '' && here?.kind !== 'folder') throw notThere(folder, 'folder');
  for (const [path, { kind, mode, sizeBytes }] of files) {
    if (path.slice(0, path.lastIndexOf('/')) !== folder) continue;
    const name = path.slice(folder.length + 1);
    if (isJson) console.log(JSON.stringify({ name: showPath(name), kind, mode, sizeBytes }));
    else
      console.log(
        `${letters[kind]}${mode.toString(8).padStart(4, '0')} ${String(sizeBytes).padStart(12)} ${showPath(name)}`,
      );
  }
}

async function printFile({ files }: Exported, path: string, stop: AbortSignal): Promise<void> {
  const file = files.get(path);
  if (file?.kind !== 'file') throw notThere(path, 'file');
  await writeOutput(file.read(), stop);
}

/** A folder is there when anything in it was changed. */
function listChanges({ files }: Exported, isJson: boolean): void {
  for (const [path, { kind }] of files) {
    if (kind === 'folder') continue;
    const sign = kind === 'deleted' ? '-' : '+';
    console.log(isJson ? JSON.stringify({ sign, path: showPath(path) }) : `${sign} ${showPath(path)}`);
  }
}

function notThere(path: string, what: string): SoulBoxError {
  return new SoulBoxError(
    'file_not_found',
    `The export has no ${what} ${JSON.stringify(showPath(path))}. Unchanged files of its template are not in it.`,
  );
}
