import type { MessageInitShape } from '@bufbuild/protobuf';
import type { TemplateSchema } from '@soulbox/contract/runner';
import type { Template } from '@soulbox/templates';

export function templateToMessage(template: Template): MessageInitShape<typeof TemplateSchema> {
  const { templateId, names, cpuCount, memoryMb, diskMb } = template;
  return { templateId, names: [...names], cpuCount, memoryMb, diskSizeMb: diskMb };
}
