import { defineDeleteCommand } from '../delete-command.ts';
import { builtTemplateArg } from '../../command-line/shared-args.ts';

export const deleteTemplate = defineDeleteCommand({
  description: 'Delete a template of the team with its builds; it must have no sandboxes',
  examples: ['soulbox template delete web', 'soulbox template delete web --json'],
  noun: 'template',
  argument: builtTemplateArg,
  key: 'template',
  pathOf: (id) => `/templates/${encodeURIComponent(id)}`,
});
