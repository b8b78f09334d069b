/** The definition of a template. The control plane has validated everything except the steps. */
export interface BuildSpec {
  /** Id of the snapshot that the build makes. */
  readonly buildId: string;
  readonly teamId: string;
  /** The value of E2B_TEMPLATE_ID in sandboxes. */
  readonly templateId: string;
  readonly base: BuildBase;
  readonly steps: readonly BuildStep[];
  /** Nothing is taken from the layer cache. */
  readonly force: boolean;
  /** Empty: none. */
  readonly startCommand: string;
  /** Empty: none. */
  readonly readyCommand: string;
  readonly cpuCount: number;
  readonly memoryMb: number;
  /** 0: the same as the base. */
  readonly minFreeDiskMb: number;
  /** Empty: that of the base, or the server's default. */
  readonly isolation: string;
}

export type BuildBase =
  | { readonly kind: 'template'; readonly templateId: string }
  | { readonly kind: 'build'; readonly buildId: string }
  | { readonly kind: 'image'; readonly reference: string; readonly credentials?: RegistryCredentials };

export type RegistryCredentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'aws';
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      readonly region: string;
    }
  | { readonly kind: 'gcp'; readonly serviceAccountJson: string };

export interface BuildStep {
  /** As the client sends it. */
  readonly type: string;
  readonly args: readonly string[];
  /** Key of the archive that a COPY unpacks. */
  readonly filesBlobKey: string;
  /** Opens whatever is stored under that key, and nothing else. */
  readonly filesKey: Uint8Array;
  /** An earlier version may have stored the archive readable. */
  readonly filesMayBeReadable: boolean;
  /** Identifies the content of the archive. */
  readonly filesHash: string;
  readonly force: boolean;
}

/** The settings that each step starts with and may change. */
export interface StepContext {
  readonly user: string;
  /** Empty: the user's home. */
  readonly workdir: string;
  readonly variables: Readonly<Record<string, string>>;
}
