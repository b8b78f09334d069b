/**
 * JSON as a kernel wrote it. JavaScript has one kind of number: `1.0` read and written again is `1`, and long integers lose
 * digits. (Node 20 of the template has no JSON.rawJSON.)
 */
export interface JsonText {
  readonly json: string;
}

/** A value as a kernel shows it: MIME types and what stands for them, texts decoded and all else as the kernel wrote it. */
export type Bundle = readonly (readonly [type: string, value: string | JsonText])[];
