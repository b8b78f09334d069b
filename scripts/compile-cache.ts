import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { afterAll } from 'vitest';

// Runs before each file of unit tests. Most time of a short file is the compilation of what it imports, and each file has
// a process of its own. Such a process is killed in the end, so it must write its cache before.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/tests-compile'));
afterAll(() => flushCompileCache());
