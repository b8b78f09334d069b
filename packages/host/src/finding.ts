/** The remedy for a finding, by system family: a command or a sentence. */
export interface Fix {
  readonly debian: string;
  readonly fedora: string;
  readonly alpine: string;
  readonly arch: string;
}

/** The result of one check on this host. */
export interface Finding {
  /** Stable, kebab-case. */
  readonly id: string;
  readonly title: string;
  /** `fail`: SoulBox cannot run. `warn`: it runs, but something named in `detail` does not work, or not well. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** What the check found, with the value. */
  readonly detail: string;
  /** What depends on it. */
  readonly protects?: string;
  /** Present if the status is not ok. */
  readonly fix?: Fix;
  /** The server can start despite this failure. `detail` says what it can do then. */
  readonly startsAnyway?: boolean;
}

/** The input of the checks. It is passed in, so that they do not read the environment. */
export interface HostSubject {
  /** The data folder of the server. It need not exist yet. */
  readonly dataDirectory: string;
}

export type Check = (subject: HostSubject) => Promise<Finding | readonly Finding[]>;

/** The same remedy for every system. */
export function sameFix(text: string): Fix {
  return { debian: text, fedora: text, alpine: text, arch: text };
}

/** Install commands for package names. `none` means that the system has no such package. */
export function installFix(packages: Fix): Fix {
  return {
    debian: `apt-get install ${packages.debian}`,
    fedora: `dnf install ${packages.fedora}`,
    alpine: `apk add ${packages.alpine}`,
    arch: `pacman -S ${packages.arch}`,
  };
}
