import { defineCommand } from 'citty';
import { createLogger } from '@soulbox/base/logger';
import { isolations } from '@soulbox/contract';
import { importTemplate, openTemplateStore } from '@soulbox/templates';
import { resolveFolders } from '../../config.ts';
import { createProgress } from '../../output/progress.ts';
import { dataDirArg, jsonArg, parseChoiceFlag, parseNumberFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';

export const importCommand = defineCommand({
  meta: {
    name: 'import',
    description: 'Create a template from a container image or an archive',
    examples: [
      'sudo soulbox template import debian docker://debian:13',
      'sudo soulbox template import own tar:rootfs.tar --memory-mb 2048',
    ],
  },
  args: {
    name: { type: 'positional', required: true, description: 'Name of the template: a-z, 0-9, - and _' },
    source: { type: 'positional', required: true, description: 'oci:DIR[:TAG], docker://IMAGE or tar:FILE' },
    force: { type: 'boolean', description: 'Replace the template of this name; its sandboxes keep the old one' },
    cpus: { type: 'string', description: 'CPUs of its sandboxes (default 2)', valueHint: 'N' },
    'memory-mb': { type: 'string', description: 'Memory of its sandboxes in MiB (default 1024)', valueHint: 'MIB' },
    'disk-mb': { type: 'string', description: 'Disk of its sandboxes in MiB (default 10240)', valueHint: 'MIB' },
    isolation: {
      type: 'string',
      description: 'Isolation of its sandboxes (default: that of the server)',
      valueHint: isolations.join('|'),
    },
    'tls-verify': {
      type: 'string',
      description: 'false: accept a registry without valid TLS',
      valueHint: 'true|false',
    },
    authfile: {
      type: 'string',
      description: 'File with registry credentials, as podman login writes it',
      valueHint: 'FILE',
    },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const tlsVerify = args['tls-verify'] ?? 'true';
    if (tlsVerify !== 'true' && tlsVerify !== 'false') throw new UsageError('--tls-verify must be true or false.');
    const cpuCount = parseNumberFlag('cpus', args.cpus, 1, 64);
    const memoryMb = parseNumberFlag('memory-mb', args['memory-mb'], 128, 1_048_576);
    const diskMb = parseNumberFlag('disk-mb', args['disk-mb'], 64, 16_777_216);
    const isolation = parseChoiceFlag('isolation', args.isolation, isolations);
    const store = openTemplateStore(resolveFolders(args['data-dir']).templatesDirectory);
    await store.sweep();
    using progress = createProgress(`Importing ${args.name}:`);
    const template = await importTemplate(store, args.name, args.source, {
      replace: args.force === true,
      tlsVerify: tlsVerify === 'true',
      ...(args.authfile === undefined ? {} : { authFile: args.authfile }),
      defaults: {
        ...(cpuCount === undefined ? {} : { cpuCount }),
        ...(memoryMb === undefined ? {} : { memoryMb }),
        ...(diskMb === undefined ? {} : { diskMb }),
        ...(isolation === undefined ? {} : { isolation }),
      },
      logger: createLogger({ level: 'warn' }),
      onProgress: (step) => progress.step(step),
    });
    console.log(args.json === true ? JSON.stringify(template) : template.templateId);
  },
});
