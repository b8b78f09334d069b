import type { User } from '../users/users.ts';

type Variables = Readonly<Record<string, string>>;

export interface EnvironmentOptions {
  readonly caller: User;
  readonly target: User;
  readonly own: Variables;
  readonly searchPath: string;
  readonly keepsEnvironment: boolean;
  readonly keepsVariables: readonly string[];
  readonly setsHome: boolean;
  readonly isLogin: boolean;
  readonly variables: Variables;
  readonly commandLine: string;
}

/** Variables that sudo passes on by default (sudoers(5), env_keep and env_check). */
const keptNames = new Set(
  `COLORS COLORTERM DISPLAY HOSTNAME KRB5CCNAME LANG LANGUAGE LINGUAS LS_COLORS PS1 PS2 TERM TZ XAUTHORITY
  XAUTHORIZATION XDG_CURRENT_DESKTOP`.split(/\s+/),
);
/**
 * Variables that it never passes on unless they are named, because they make programs run other code (sudoers(5),
 * env_delete).
 */
const deletedNames = new Set(
  `BASHOPTS BASH_ENV CDPATH ENV FPATH GLOBIGNORE HOSTALIASES IFS JAVA_TOOL_OPTIONS LOCALDOMAIN NLSPATH NULLCMD PATH_LOCALE
  PERL5DB PERL5LIB PERL5OPT PERLIO_DEBUG PERLLIB PS4 PYTHONHOME PYTHONINSPECT PYTHONPATH PYTHONUSERBASE READNULLCMD
  RES_OPTIONS RUBYLIB RUBYOPT SHELLOPTS TERMCAP TERMINFO TERMINFO_DIRS TERMPATH TMPPREFIX ZDOTDIR`.split(/\s+/),
);

const isKept = (name: string): boolean => keptNames.has(name) || name.startsWith('LC_');
const isDeleted = (name: string, value: string): boolean =>
  deletedNames.has(name) || /^(?:LD_|_RLD|BASH_FUNC_|SUDO_)/.test(name) || value.startsWith('()');

/**
 * The environment of a command, as created by sudo. It is not a security barrier, because a user with all rights of
 * root may also set everything. It keeps a user's own settings from affecting programs that run as another user.
 */
export function commandEnvironment(options: EnvironmentOptions): Record<string, string> {
  const { caller, target, own, keepsEnvironment, isLogin } = options;
  const named = new Set(options.keepsVariables);
  const passed = Object.entries(own).filter(
    ([name, value]) => named.has(name) || (!isDeleted(name, value) && ((keepsEnvironment && !isLogin) || isKept(name))),
  );
  const env: Record<string, string> = Object.fromEntries(passed);
  const setHome = !keepsEnvironment || options.setsHome || isLogin;
  return {
    ...env,
    ...(setHome || env['HOME'] === undefined ? { HOME: target.home } : {}),
    PATH: options.searchPath,
    USER: target.name,
    LOGNAME: target.name,
    SHELL: keepsEnvironment && !isLogin ? (env['SHELL'] ?? shellOf(target)) : shellOf(target),
    MAIL: `/var/mail/${target.name}`,
    TERM: own['TERM'] ?? 'unknown',
    SUDO_COMMAND: options.commandLine,
    SUDO_USER: caller.name,
    SUDO_UID: String(caller.uid),
    SUDO_GID: String(caller.gid),
    ...options.variables,
  };
}

export function shellOf({ shell }: User): string {
  return shell === '' ? '/bin/sh' : shell;
}
