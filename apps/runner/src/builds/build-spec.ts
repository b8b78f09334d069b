/** What a template is made of; already validated by the control plane, but for the steps. */
export interface BuildSpec {
  /** Id of the snapshot that the build becomes. */
  readonly buildId: string;
  readonly teamId: string;
  /** What sandboxes see as E2B_TEMPLATE_ID. */
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
  /** 0: as the base. */
  readonly minFreeDiskMb: number;
  /** Empty: the base's, else the server's. */
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
  /** As its user's client says it. */
  readonly type: string;
  readonly args: readonly string[];
  /** Of the archive that a COPY unpacks. */
  readonly filesBlobKey: string;
  /** Stands for what is in the archive. */
  readonly filesHash: string;
  readonly force: boolean;
}

/** What each step begins with and may change. */
export interface StepContext {
  readonly user: string;
  /** Empty: the user's home. */
  readonly workdir: string;
  readonly variables: Readonly<Record<string, string>>;
}
