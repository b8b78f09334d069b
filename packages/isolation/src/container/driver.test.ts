import { fileURLToPath } from 'node:url';
import { silentLogger } from '@soulbox/base';
import { prepareCgroups } from '../cgroup/prepare.ts';
import { describeDriver } from '../conformance/driver-contract.ts';
import { createContainerDriver } from './driver.ts';
import { criu } from './checkpoint/test-criu.ts';
import { testInstance } from './test-instance.ts';

await prepareCgroups();

describeDriver({
  name: 'container',
  instanceNumber: testInstance,
  rootOf: ({ initPid }) => `/proc/${initPid}/root`,
  createDriver: () => createContainerDriver({ logger: silentLogger, instance: testInstance, criu }),
  startProgram: fileURLToPath(new URL('start-program.ts', import.meta.url)),
});
