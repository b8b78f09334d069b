/** `[namespace/]name[:tag]`, how callers name a template. E2B: lower-cased and trimmed, at most 128 characters. */
export interface TemplateReference {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly tag: string | undefined;
}

const referenceMax = 128;
const referenceForm = /^(?:([a-z0-9-_]+)\/)?([a-z0-9-_]+)(?::([a-z0-9-_.]+))?$/;

/** Undefined when the text cannot name a template. */
export function parseTemplateReference(text: string): TemplateReference | undefined {
  if (text.length > referenceMax) return undefined;
  const [, namespace, name, tag] = referenceForm.exec(text.trim().toLowerCase()) ?? [];
  return name === undefined ? undefined : { namespace, name, tag };
}
