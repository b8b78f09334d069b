/**
 * JSON text exactly as a kernel wrote it. Parsing it would lose information, because JavaScript has one number type:
 * `1.0` becomes `1`, and long integers lose digits. (Node 20 of the template has no JSON.rawJSON.)
 */
export interface JsonText {
  readonly json: string;
}

/**
 * A value as a kernel shows it: MIME types and their representations. Strings are decoded; everything else stays as the
 * kernel wrote it.
 */
export type Bundle = readonly (readonly [type: string, value: string | JsonText])[];
