/** A mounted file system, or a folder of one. Disposing takes the mount away. */
export interface Place extends AsyncDisposable {
  readonly name: string;
  /** Its folder. */
  readonly folder: string;
}

/** One that is not here, and why. */
export interface MissingPlace {
  readonly name: string;
  readonly missing: string;
}
