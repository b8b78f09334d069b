export { openTemplateStore } from './store/template-store.ts';
export type { AddTemplate, TemplateFacts, TemplateStore } from './store/template-store.ts';
export { parseTemplateName } from './store/template.ts';
export type { Template } from './store/template.ts';
export type { TemplateDraft } from './store/template-draft.ts';
export { baseTemplateName, buildBaseTemplate, ensureBaseTemplate } from './base/build-base-template.ts';
export type { BuildBaseOptions } from './base/build-base-template.ts';
export { defaultImportLimits, importTemplate } from './import/import-template.ts';
export type { ImportLimits, ImportOptions } from './import/import-template.ts';
