/** The language of a program. */
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

/** The programs that run it. If the clues are equal, the earlier one is used. */
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

/** The template with all of them except compilers that would double its size. */
export const fullTemplate = { name: 'runtimes', lacks: ['rust'] } as const satisfies {
  name: string;
  lacks: readonly RuntimeName[];
};
