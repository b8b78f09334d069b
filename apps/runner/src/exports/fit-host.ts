import { access } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { ExportManifest } from '@soulbox/contract/export-file';
import type { Template } from '@soulbox/templates';
import { readCpuType } from '../host/cpu-type.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { bundleDirectoryOf, getDriver } from '../processes/sandbox-host.ts';

/**
 * The template of this host on which the files of an export lie: the same one, or one that was made from the same
 * source. Throws `template_not_found`.
 */
export async function findTemplate(
  { templates }: Pick<OperationContext, 'templates'>,
  { id, names, source }: ExportManifest['template'],
): Promise<Template> {
  const same = await templates.find(id);
  if (same !== undefined) return same;
  const alike = (await templates.list()).filter((template) => template.source === source);
  const found = alike.find((template) => template.names.some((name) => names.includes(name))) ?? alike[0];
  if (found !== undefined) return found;
  throw new SoulBoxError(
    'template_not_found',
    `The export needs the template ${JSON.stringify(names[0] ?? id)} (${source}), which this server does not have.`,
  );
}

/** Why saved memory cannot be restored on this host. Undefined: it can. */
export async function whyMemoryDoesNotFit(
  { host }: Pick<OperationContext, 'host'>,
  { memory, sandbox, template }: ExportManifest,
  present: Template,
): Promise<string | undefined> {
  if (memory === undefined) return undefined;
  if (memory.cpuType !== (await readCpuType())) return 'the CPU of this host has different features';
  const version = await getDriver(host, sandbox.isolation).readVersion();
  if (memory.driverVersion !== version) return `it was saved by ${memory.driverVersion}, and this host has ${version}`;
  // Programs in the memory have files of the template open and mapped.
  if (present.templateId !== template.id)
    return 'the template of this host was made separately and may have other files';
  try {
    await access(bundleDirectoryOf(host, memory.envd));
    return undefined;
  } catch {
    return 'it needs a version of envd that this host does not have';
  }
}
