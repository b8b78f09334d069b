/** What to do about a finding, by system family: a command or a sentence. */
export interface Fix {
  readonly debian: string;
  readonly fedora: string;
  readonly alpine: string;
  readonly arch: string;
}

/** One thing that was looked at on this host. */
export interface Finding {
  /** Stable, kebab-case. */
  readonly id: string;
  readonly title: string;
  /** `fail`: SoulBox cannot run. `warn`: it runs, but something named in `detail` does not, or not well. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** What was found, with the value. */
  readonly detail: string;
  /** What depends on it. */
  readonly protects?: string;
  /** Present when status is not ok. */
  readonly fix?: Fix;
  /** A failure with which a server can start all the same: it says in `detail` what it can do then. */
  readonly startsAnyway?: boolean;
}

/** What checks need to know; passed in, so that they read no environment. */
export interface HostSubject {
  /** Data folder of the server; need not exist yet. */
  readonly dataDirectory: string;
}

export type Check = (subject: HostSubject) => Promise<Finding | readonly Finding[]>;

/** The same advice whatever the system. */
export function sameFix(text: string): Fix {
  return { debian: text, fedora: text, alpine: text, arch: text };
}

/** Install commands from package names. `none` says that the system has no such package. */
export function installFix(packages: Fix): Fix {
  return {
    debian: `apt-get install ${packages.debian}`,
    fedora: `dnf install ${packages.fedora}`,
    alpine: `apk add ${packages.alpine}`,
    arch: `pacman -S ${packages.arch}`,
  };
}
