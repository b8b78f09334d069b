import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { afterAll } from 'vitest';

// Runs before each file that Node loads itself. Most time of a few short files is the compilation of what they import. Their
// process is killed in the end, so it must write its cache before.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/tests-compile'));
afterAll(() => flushCompileCache());
