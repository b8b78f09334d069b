/** A parsed command line of `sudo`. */
export type Invocation =
  | { readonly kind: 'help' | 'version' | 'nothing' | 'validate' | 'list' }
  | { readonly kind: 'unusable'; readonly message: string }
  | {
      readonly kind: 'run';
      /** A user name, or `#` and a number. */
      readonly target: string;
      readonly command: readonly string[];
      /**
       * `login`: as after a login, in the target's home. `shell`: a shell with the target's rights in the current
       * folder.
       */
      readonly shell: 'none' | 'shell' | 'login';
      readonly keepsEnvironment: boolean;
      readonly keepsVariables: readonly string[];
      readonly setsHome: boolean;
      /** `NAME=value` before the command. */
      readonly variables: Readonly<Record<string, string>>;
    };

type Run = Extract<Invocation, { kind: 'run' }>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Letters of options with a value. */
const valued = new Set(['u', 'p']);
const longNames: Readonly<Record<string, string>> = {
  user: 'u',
  prompt: 'p',
  'non-interactive': 'n',
  stdin: 'S',
  askpass: 'A',
  bell: 'B',
  'reset-timestamp': 'k',
  'remove-timestamp': 'K',
  'set-home': 'H',
  'preserve-env': 'E',
  login: 'i',
  shell: 's',
  help: 'h',
  version: 'V',
  validate: 'v',
  list: 'l',
};
/** Options about passwords, which are never requested here, and about groups, which are always those of the target. */
const withoutEffect = new Set(['n', 'S', 'A', 'B', 'k']);

/** Letters that request something other than running a command. */
const otherKinds: Readonly<Record<string, 'help' | 'version' | 'validate' | 'list' | 'nothing'>> = {
  h: 'help',
  V: 'version',
  v: 'validate',
  l: 'list',
  K: 'nothing',
};

/** Parses the arguments of sudo(8): options and variables in any order, then the command. */
export function parseArguments(args: readonly string[]): Invocation {
  const run: Mutable<Run> = {
    kind: 'run',
    target: 'root',
    command: [],
    shell: 'none',
    keepsEnvironment: false,
    keepsVariables: [],
    setsHome: false,
    variables: {},
  };
  let other: (typeof otherKinds)[string] | undefined;
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') break;
    const [, name, value = ''] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(word) ?? [];
    if (name !== undefined) run.variables = { ...run.variables, [name]: value };
    else if (!word.startsWith('-') || word === '-') {
      rest.unshift(word);
      break;
    } else
      for (const option of word.startsWith('--') ? longOption(word) : shortOptions(word)) {
        other = otherKinds[option.letter] ?? other;
        const fault = applyOption(run, option, word, rest);
        if (fault !== undefined) return { kind: 'unusable', message: fault };
      }
  }
  if (other !== undefined) return { kind: other };
  run.command = rest;
  if (rest.length > 0 || run.shell !== 'none') return run;
  // As in sudo, `-k` alone does nothing. With a command it only requires the password again.
  if (args.length === 1 && args[0] === '-k') return { kind: 'nothing' };
  return { kind: 'unusable', message: 'usage: sudo [-EHinsS] [-u user] [VAR=value] command' };
}

/** Applies an option. Returns an error message if it is invalid. May consume the next word as its value. */
function applyOption(run: Mutable<Run>, { letter, value }: Option, word: string, rest: string[]): string | undefined {
  switch (letter) {
    case 'u':
    case 'p': {
      const given = value === '' ? rest.shift() : value;
      if (given === undefined) return `option requires an argument -- '${letter}'`;
      if (letter === 'u') run.target = given;
      return undefined;
    }
    case 'E':
      if (value === '') run.keepsEnvironment = true;
      else run.keepsVariables = [...run.keepsVariables, ...value.split(',')];
      return undefined;
    case 'H':
      run.setsHome = true;
      return undefined;
    case 'i':
      run.shell = 'login';
      return undefined;
    case 's':
      run.shell = 'shell';
      return undefined;
    default:
      if (withoutEffect.has(letter) || letter in otherKinds) return undefined;
      return `option '${word}' does not work in this sandbox`;
  }
}

interface Option {
  readonly letter: string;
  /** Empty if there is no value in the same word. */
  readonly value: string;
}

function longOption(word: string): readonly Option[] {
  const [name = '', ...value] = word.slice(2).split('=');
  return [{ letter: longNames[name] ?? '?', value: value.join('=') }];
}

/** `-nE` is two options; `-uroot` is one with its value. */
function shortOptions(word: string): readonly Option[] {
  const options: Option[] = [];
  for (let index = 1; index < word.length; index++) {
    const letter = word[index] ?? '';
    const takesRest = valued.has(letter);
    options.push({ letter, value: takesRest ? word.slice(index + 1) : '' });
    if (takesRest) break;
  }
  return options;
}
