export { findTemplateFolder, packBaseRootfs } from './base-rootfs.ts';
export { startContainer, timeFirstOutput } from './engine.ts';
export type { Engine, EngineContainer, MissingEngine } from './engine.ts';
export { openOwnNamespaces } from './own-namespaces.ts';
export type { OwnNamespaces } from './own-namespaces.ts';
export { openPodman } from './podman.ts';
export { findMissing } from './programs.ts';
