import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const noShellStrings = {
  name: 'node:child_process',
  importNames: ['exec', 'execSync'],
  message: 'Argument arrays only, never a shell string.',
};
const ourApps = [
  '@soulbox/api',
  '@soulbox/runner',
  '@soulbox/gateway',
  '@soulbox/functions',
  '@soulbox/edge-worker',
  '@soulbox/box',
  '@soulbox/envd',
  'soulbox',
];

/** The import rules of a part of the tree: never a shell string, and none of `packages`. */
function restrictImports(packages: readonly string[], message: string) {
  const patterns = packages.length === 0 ? [] : [{ group: [...packages], message }];
  return { 'no-restricted-imports': ['error', { paths: [noShellStrings], patterns }] as ['error', object] };
}

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
      ...restrictImports([], ''),
    },
  },
  {
    files: ['packages/*/src/**/*.ts'],
    ignores: ['packages/testing/**'],
    rules: restrictImports(ourApps, 'Packages never import apps.'),
  },
  {
    files: ['apps/{api,runner,gateway,functions,edge-worker,envd,code-interpreter}/src/**/*.ts'],
    rules: restrictImports(ourApps, 'Apps meet on the wire; only box and testing import apps.'),
  },
  {
    files: [
      '**/config.ts',
      '**/main.ts',
      'apps/cli/**',
      'scripts/**',
      '**/*.test.ts',
      'e2e/**',
      'bench/**',
      'packages/testing/**',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  { files: ['apps/cli/**', 'scripts/**', 'bench/**', 'e2e/**'], rules: { 'no-console': 'off' } },
);
