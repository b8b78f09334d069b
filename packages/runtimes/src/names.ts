/** What a program is written in. */
export const languages = [
  'python',
  'javascript',
  'typescript',
  'bash',
  'r',
  'java',
  'go',
  'ruby',
  'php',
  'lua',
  'rust',
] as const;
export type Language = (typeof languages)[number];

/** What runs it. Where nothing tells two apart, the earlier one is taken. */
export const runtimeNames = [
  'python',
  'node',
  'bun',
  'deno',
  'bash',
  'r',
  'java',
  'go',
  'ruby',
  'php',
  'lua',
  'rust',
] as const;
export type RuntimeName = (typeof runtimeNames)[number];

/** The template that has all of them but the compilers that would double it. */
export const fullTemplate = { name: 'runtimes', lacks: ['rust'] } as const satisfies {
  name: string;
  lacks: readonly RuntimeName[];
};
