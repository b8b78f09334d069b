import { resolve } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

/** The source of a template import. */
export type ImportSource =
  | { readonly kind: 'image'; readonly reference: string; readonly text: string }
  | { readonly kind: 'tar'; readonly file: string; readonly text: string };

const maxLength = 900;
// A host, a path, a tag or a digest: the parts of container image references, and nothing that a tool reads as an
// option.
const dockerForm = /^docker:\/\/[A-Za-z0-9][A-Za-z0-9._:/@-]*$/;
const ociForm = /^oci:([^:\0\n]+)(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?$/;
const tarForm = /^tar:([^\0\n]+)$/;

/** Parses `oci:DIR[:TAG]`, `docker://IMAGE` or `tar:FILE`. Throws `bad_request` for anything else. */
export function parseSource(text: string): ImportSource {
  if (text.length <= maxLength) {
    if (dockerForm.test(text)) return { kind: 'image', reference: text, text };
    const [, directory, tag] = ociForm.exec(text) ?? [];
    if (directory !== undefined) {
      const path = `oci:${resolve(directory)}`;
      return { kind: 'image', reference: tag === undefined ? path : `${path}:${tag}`, text };
    }
    const [, file] = tarForm.exec(text) ?? [];
    if (file !== undefined) return { kind: 'tar', file: resolve(file), text };
  }
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  throw new SoulBoxError(
    'bad_request',
    `${shown} is not a valid source. Use oci:DIR[:TAG], docker://IMAGE or tar:FILE.`,
  );
}
