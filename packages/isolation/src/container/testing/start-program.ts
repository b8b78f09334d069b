// Starts one sandbox, or restores it from a folder, and ends: for tests that kill a server meanwhile. Arguments: a
// SandboxSpec in JSON, the folder of a saved memory, and `late` if that memory must be loaded when it is touched (the
// last two are optional). Prints `starting`, then `done`.
import { Secret, silentLogger } from '@soulbox/base';
import { lateMemory } from '../../conformance/late-memory.ts';
import { savedMemory } from '../../conformance/saved-sandboxes.ts';
import type { SandboxSpec } from '../../driver.ts';
import { criu } from './test-criu.ts';
import { createContainerDriver } from '../driver.ts';
import { testInstance } from './test-instance.ts';

const [, , specText = '', memory, when] = process.argv;
const given = JSON.parse(specText) as SandboxSpec;
const spec = { ...given, hostToken: new Secret('token'), attachNetwork: () => Promise.resolve() };
const driver = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
process.stdout.write('starting\n');
if (memory === undefined) await driver.start(spec);
else await driver.restore(spec, when === 'late' ? await lateMemory(memory) : savedMemory(memory));
process.stdout.write('done\n');
