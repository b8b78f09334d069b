/** @module-tag long */
import { fileURLToPath } from 'node:url';
import { silentLogger } from '@soulbox/base/logger';
import { prepareCgroups } from '../cgroup/prepare.ts';
import { describeDriver } from '../conformance/describe-driver.ts';
import { createGvisorDriver } from './driver.ts';
import { readRuntimeState } from './runtime-state.ts';
import { testInstance } from './testing/test-instance.ts';

await prepareCgroups();

describeDriver({
  name: 'gvisor',
  instanceNumber: testInstance,
  createDriver: () => createGvisorDriver({ logger: silentLogger, instance: testInstance }),
  // The root of the process that opens files; the sandbox's kernel itself sees an empty root.
  rootOf: ({ sandboxId }) => `/proc/${readRuntimeState(testInstance, sandboxId).goferPid}/root`,
  startProgram: fileURLToPath(new URL('testing/start-program.ts', import.meta.url)),
});
