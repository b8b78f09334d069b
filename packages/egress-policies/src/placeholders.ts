/** The text of a header value between and around its placeholders. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  /** The text between `${` and `}`. */
  | { readonly kind: 'placeholder'; readonly name: string };

export type Placeholder =
  | { readonly kind: 'secret'; readonly name: string }
  | { readonly kind: 'identity'; readonly name: string };

/** Those of E2B. Anything else between braces is text. */
const form = /\$\{(e2b\.(?:secrets|identity\.tokens)\.[^}]*)\}/;

/** Splits a header value into text and placeholders. */
export function parseTemplate(value: string): TemplatePart[] {
  const pieces = value.split(form);
  return pieces.flatMap((piece, index): TemplatePart[] => {
    if (index % 2 === 1) return [{ kind: 'placeholder', name: piece }];
    return piece === '' ? [] : [{ kind: 'text', text: piece }];
  });
}

/** Undefined for a text that names neither a secret nor a token, such as `e2b.secrets.` or `e2b.secrets.a b`. */
export function findPlaceholder(text: string): Placeholder | undefined {
  const [, kind, name = ''] = /^e2b\.(secrets|identity\.tokens)\.([a-zA-Z0-9_-]{1,128})$/.exec(text) ?? [];
  if (kind === undefined) return undefined;
  return { kind: kind === 'secrets' ? 'secret' : 'identity', name };
}
