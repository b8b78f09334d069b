/** What a record consists of. An object has members of these kinds, and no prototype of its own. */
export type Canonical = string | number | boolean | object | undefined;

/**
 * Canonical JSON (RFC 8785) for values without arrays and null: members in the order of their UTF-16 units, numbers and
 * strings as JSON.stringify writes them. Members that are undefined are left out. Throws RangeError for numbers that are
 * not finite and texts that are not well-formed, which RFC 8785 forbids.
 */
export function canonicalText(value: Exclude<Canonical, undefined>): string {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new RangeError('A text contains a broken surrogate pair.');
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new RangeError('A number is not finite.');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object': {
      let text = '';
      for (const name of Object.keys(value).sort()) {
        const member = (value as Readonly<Record<string, Canonical>>)[name];
        if (member === undefined) continue;
        text += `${text === '' ? '' : ','}${canonicalText(name)}:${canonicalText(member)}`;
      }
      return `{${text}}`;
    }
  }
}
