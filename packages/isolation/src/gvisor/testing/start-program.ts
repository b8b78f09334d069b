// Starts one sandbox and ends: for tests that kill a server during a start. The argument is a SandboxSpec in JSON.
import { Secret } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { SandboxSpec } from '../../driver.ts';
import { createGvisorDriver } from '../driver.ts';
import { testInstance } from './test-instance.ts';

const spec = JSON.parse(process.argv[2] ?? '') as SandboxSpec;
const driver = createGvisorDriver({ logger: silentLogger, instance: testInstance });
process.stdout.write('starting\n');
await driver.start({ ...spec, hostToken: new Secret('token'), attachNetwork: () => Promise.resolve() });
