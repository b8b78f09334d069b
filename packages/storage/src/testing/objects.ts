export { findChosenStore } from './chosen-store.ts';
export { createContainer, emulatorAccount, hasAzurite, startAzurite } from './azurite.ts';
export { startGcsServer } from './gcs-server.ts';
export { startFaultProxy, type FaultProxy } from './fault-proxy.ts';
export { hasMoto, startMoto } from './moto-server.ts';
export { amendConditions, xml } from './s3-conditions.ts';
export { listManyObjects, makeEmptyObjects, measure, passLargeObject, type Taken } from './sizes.ts';
