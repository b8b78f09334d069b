import { environment, outputVariable, retryAttemptsVariable } from '../config.ts';

/** A setting of the CLI itself. Values are texts; `accept` returns undefined for a wrong one. */
interface Setting {
  readonly description: string;
  /** What `accept` takes, for people. */
  readonly form: string;
  readonly default: string;
  readonly accept: (text: string) => string | undefined;
  /** What the environment says, which comes before the file, and the variable that says it. */
  readonly fromEnvironment: () => readonly [value: string, variable: string] | undefined;
}

const oneOf = (...choices: readonly string[]): Pick<Setting, 'form' | 'accept'> => ({
  form: choices.join(' or '),
  accept: (text) => (choices.includes(text) ? text : undefined),
});
const wholeNumber = (min: number, max: number): Pick<Setting, 'form' | 'accept'> => ({
  form: `a whole number from ${min} to ${max}`,
  accept: (text) => (/^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max ? text : undefined),
});
const commandMaxLength = 1000;

const variable = (name: string, value: string | undefined = environment[name]): readonly [string, string] | undefined =>
  value === undefined || value === '' ? undefined : [value, name];

/** All settings of the CLI, for `soulbox config`. The server has its own: docs/config.md. */
export const schema = {
  output: {
    description: 'What commands with --json print without it',
    ...oneOf('text', 'json'),
    default: 'text',
    fromEnvironment: () => variable('SOULBOX_OUTPUT', outputVariable),
  },
  color: {
    description: 'Colors: auto means at a terminal',
    ...oneOf('auto', 'always', 'never'),
    default: 'auto',
    fromEnvironment: () => {
      if (variable('NO_COLOR') !== undefined) return ['never', 'NO_COLOR'];
      const forced = variable('FORCE_COLOR');
      return forced === undefined ? undefined : [['0', 'false'].includes(forced[0]) ? 'never' : 'always', forced[1]];
    },
  },
  progress: {
    description: 'Progress of transfers, builds and waits: auto means at a terminal',
    ...oneOf('auto', 'never'),
    default: 'auto',
    fromEnvironment: () => (variable('CI') === undefined ? undefined : ['never', 'CI']),
  },
  'retry-attempts': {
    description: 'How often a call that cannot take effect twice is tried',
    ...wholeNumber(1, 20),
    default: '3',
    fromEnvironment: () => variable('SOULBOX_RETRY_ATTEMPTS', retryAttemptsVariable),
  },
  editor: {
    description: 'Editor of "sandbox edit", with its arguments',
    form: `a command of at most ${commandMaxLength} characters`,
    accept: (text) => (/^[^\0\n]+$/.test(text) && text.length <= commandMaxLength ? text : undefined),
    default: 'vi',
    fromEnvironment: () => variable('VISUAL') ?? variable('EDITOR'),
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof schema;

export const settingNames = Object.keys(schema) as readonly SettingName[];

export const isSettingName = (name: string): name is SettingName => Object.hasOwn(schema, name);
