/** A certificate chain and its key, as PEM. */
export interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
  /** What a client must trust; undefined for a certificate that the operator gave. */
  readonly caFile: string | undefined;
}
