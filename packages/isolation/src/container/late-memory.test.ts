/** @module-tag long */
// The save and restore part of the conformance suite again, with memory that is loaded when it is touched.
import { fileURLToPath } from 'node:url';
import { silentLogger } from '@soulbox/base/logger';
import { prepareCgroups } from '../cgroup/prepare.ts';
import { describeDriver } from '../conformance/describe-driver.ts';
import { criu } from './testing/test-criu.ts';
import { createContainerDriver } from './driver.ts';
import { testInstance } from './testing/test-instance.ts';

await prepareCgroups();

describeDriver({
  name: 'container, with late memory',
  lateMemory: true,
  instanceNumber: testInstance,
  rootOf: ({ initPid }) => `/proc/${initPid}/root`,
  createDriver: () => createContainerDriver({ logger: silentLogger, instance: testInstance, criu }),
  startProgram: fileURLToPath(new URL('testing/start-program.ts', import.meta.url)),
});
