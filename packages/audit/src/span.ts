/** A part of a text, from one index to another, excluding that. */
export interface Span {
  readonly from: number;
  readonly to: number;
}
