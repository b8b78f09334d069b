import { createReadStream } from 'node:fs';
import { defineCommand } from 'citty';
import { dataBytesOf, isSigned, openExport, unusable } from '@soulbox/contract/export-file';
import { jsonArg } from '../../command-line/shared-args.ts';
import { renderFacts } from '../../output/facts.ts';
import { showBytes } from '../../output/table.ts';

export const inspectExport = defineCommand({
  meta: { name: 'inspect', description: 'Show what an export file has, without starting it and without a server' },
  args: {
    file: { type: 'positional', required: true, description: 'The export file' },
    json: jsonArg,
  },
  async run({ args }) {
    const { manifest, manifestBytes, signature } = await openExport(createReadStream(args.file));
    if (!isSigned(manifestBytes, signature)) throw unusable('its signature does not match');
    const { source, sandbox, template, memory, leftOut, parts, exportedAt } = manifest;
    const layers = parts.filter(({ kind }) => kind === 'layer').length;
    const facts = {
      ...{ key: signature.key, exportedAt, ...source, ...sandbox },
      ...{ template: template.names[0] ?? template.id, templateSource: template.source, layers },
      ...{ hasMemory: memory !== undefined, dataBytes: dataBytesOf(manifest), leftOut },
    };
    if (args.json === true) console.log(JSON.stringify(facts));
    else console.log(renderFacts({ ...facts, dataBytes: showBytes(facts.dataBytes) }));
  },
});
