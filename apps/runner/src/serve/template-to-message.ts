import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { TemplateSchema } from '@soulbox/contract/runner';
import type { Template } from '@soulbox/templates';

export function templateToMessage(template: Template): MessageInitShape<typeof TemplateSchema> {
  const { templateId, names, cpuCount, memoryMb, diskMb } = template;
  const createdAt = timestampFromDate(new Date(template.createdAt));
  return { templateId, names: [...names], cpuCount, memoryMb, diskSizeMb: diskMb, createdAt };
}
