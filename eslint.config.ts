import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const noShellStrings = {
  name: 'node:child_process',
  importNames: ['exec', 'execSync'],
  message: 'Argument arrays only, never a shell string.',
};
const noMessages = {
  name: '@soulbox/contract/runner',
  message: 'Only serve/ knows the messages of spec/runner; the rooms below it have plain types.',
};

export default defineConfig(
  {
    ignores: [
      '**/gen/**',
      'node_modules/**',
      '**/dist/**',
      '**/*.mjs',
      'bench/results/**',
      '.soulbox/**',
      '.stryker-tmp/**',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './apps/envd/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        {
          argsIgnorePattern: '^_',
          varsIgnorePattern: '^_',
          destructuredArrayIgnorePattern: '^_',
          ignoreRestSiblings: true,
        },
      ],
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only config.ts reads the environment.' },
        { object: 'process', property: 'exit', message: 'Only main.ts ends the process.' },
      ],
      'no-restricted-imports': ['error', { paths: [noShellStrings] }],
      'no-restricted-syntax': [
        'error',
        {
          // A subclass, of Error or of a library's class, cannot be anything else.
          selector: 'ClassDeclaration[superClass=null]',
          message: 'Things with a life are made by functions that return an object (CONTRIBUTING.md).',
        },
      ],
    },
  },
  {
    files: ['**/*.test.ts', '**/testing/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          // It has no properties of its own, so every value matches it.
          selector: 'CallExpression[callee.property.name="toMatchObject"] Property > Literal[regex]',
          message: 'toMatchObject accepts anything for a regular expression. Use expect.stringMatching.',
        },
      ],
    },
  },
  {
    files: [
      '**/config.ts',
      '**/main.ts',
      'apps/cli/**',
      'scripts/**',
      '**/*.test.ts',
      'apps/*/src/testing/**',
      'e2e/**',
      'bench/**',
      'packages/testing/**',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['apps/cli/**', 'scripts/**', 'bench/**', 'e2e/**', 'packages/sdk/examples/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['apps/runner/src/**'],
    ignores: ['apps/runner/src/serve/**'],
    rules: { 'no-restricted-imports': ['error', { paths: [noShellStrings, noMessages] }] },
  },
);
