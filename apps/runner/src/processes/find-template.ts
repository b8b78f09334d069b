import type { Template, TemplateStore } from '@soulbox/templates';
import type { SandboxHost } from './sandbox-host.ts';

interface TemplateContext {
  readonly host: Pick<SandboxHost, 'stored'>;
  readonly templates: Pick<TemplateStore, 'find'>;
}

/** The template that a record names by its id. Fetched if only the object store has it. */
export async function findTemplate(
  { host, templates }: TemplateContext,
  templateId: string,
): Promise<Template | undefined> {
  const present = await templates.find(templateId);
  if (present !== undefined) return present;
  await host.stored.template(templateId);
  return await templates.find(templateId);
}
