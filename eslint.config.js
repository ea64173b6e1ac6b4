import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { exampleRules, folderRules } from './scripts/eslint-import-rules.mjs';

const exportByName = { selector: 'ExportDefaultDeclaration', message: 'Export by name.' };

export default defineConfig(
  { ignores: ['**/dist/', 'dist-bench/', '.tap/', 'coverage/', 'data/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-restricted-syntax': ['error', exportByName],
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/prefer-readonly': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Methods that answer at once or later (MaybePromise) are often async without an await.
      '@typescript-eslint/require-await': 'off',
    },
  },
  { files: ['src/**'], ignores: ['src/cli/**', 'src/http/page/**'], rules: { 'no-console': 'error' } },
  // These run anywhere, so what only Node has is not there.
  {
    files: ['src/protocol/**', 'src/client/**', 'src/react/**', 'src/http/page/**'],
    ignores: ['src/client/node.ts'],
    rules: {
      'no-restricted-globals': ['error', 'Buffer', 'process', 'global', 'require', 'setImmediate', 'clearImmediate'],
    },
  },
  // A time-out that AbortSignal holds is lost after a garbage collection, and fetch reads without bounds.
  {
    files: [
      'src/server/**',
      'src/store/**',
      'src/rooms/**',
      'src/hooks/**',
      'src/policy/**',
      'src/http/*',
      'src/cli/**',
    ],
    rules: {
      'no-restricted-globals': ['error', { name: 'fetch', message: 'Use server/exchange.ts.' }],
      'no-restricted-properties': [
        'error',
        ...['timeout', 'any'].map((property) => ({ object: 'AbortSignal', property })),
      ],
    },
  },
  // What a frame looks like is said once, in wire/frames.ts.
  {
    files: ['src/server/**'],
    ignores: ['src/server/wire/frames.ts', 'src/server/connection/dispatch.ts', 'src/server/probe/client.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        exportByName,
        { selector: 'MemberExpression[object.name="Op"]', message: 'Write and read frames in server/wire/frames.ts.' },
      ],
    },
  },
  ...folderRules(),
  ...exampleRules(),
  {
    files: ['test/**'],
    rules: {
      // tap keeps its subtests in order by itself, and a test is often handed what the types forbid.
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-misused-promises': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['**/*.js', '**/*.mjs'], languageOptions: { globals: { console: false, process: false, URL: false } } },
  { files: ['*.config.js'], rules: { 'no-restricted-syntax': 'off' } },
);
