// Starts one sandbox, or restores it, and ends: for tests that kill a server meanwhile. Arguments: a SandboxSpec in
// JSON, and a SavedMemory in JSON (optional). Prints `starting`, then `done`.
import { Secret } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { SandboxSpec, SavedMemory } from '../../driver.ts';
import { criu } from './test-criu.ts';
import { createContainerDriver } from '../driver.ts';
import { testInstance } from './test-instance.ts';

const [, , specText = '', memory] = process.argv;
const given = JSON.parse(specText) as SandboxSpec;
const spec = { ...given, hostToken: new Secret('token'), attachNetwork: () => Promise.resolve() };
const driver = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
process.stdout.write('starting\n');
if (memory === undefined) await driver.start(spec);
else await driver.restore(spec, JSON.parse(memory) as SavedMemory);
process.stdout.write('done\n');
