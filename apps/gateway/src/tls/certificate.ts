/** A certificate chain and its key, as PEM. */
export interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
  /** The CA that a client must trust. Undefined for a certificate from the operator. */
  readonly caFile: string | undefined;
}
