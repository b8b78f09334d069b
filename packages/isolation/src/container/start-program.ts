// Starts one sandbox, or restores it from a folder, and ends: for tests that kill a server meanwhile. Arguments: a
// SandboxSpec in JSON, folder of a saved memory (optional).
import { Secret, silentLogger } from '@soulbox/base';
import { savedMemory } from '../contract/saved-sandboxes.ts';
import type { SandboxSpec } from '../driver.ts';
import { criu } from './checkpoint/test-criu.ts';
import { createContainerDriver } from './driver.ts';
import { testInstance } from './test-instance.ts';

const [, , specText = '', memory] = process.argv;
const given = JSON.parse(specText) as SandboxSpec;
const spec = { ...given, hostToken: new Secret('token'), attachNetwork: () => Promise.resolve() };
const driver = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
process.stdout.write('starting\n');
await (memory === undefined ? driver.start(spec) : driver.restore(spec, savedMemory(memory)));
