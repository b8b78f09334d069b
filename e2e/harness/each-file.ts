import { afterAll } from 'vitest';
import { useSharedServer } from './server.ts';

// Runs before each file. Files share their process, so each one leaves what the next one expects.
afterAll(useSharedServer);
