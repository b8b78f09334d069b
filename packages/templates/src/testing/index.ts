export { makeBusyboxRootfs, makeImage } from './image.ts';
export { bcrypt, pushImage, startRegistry } from './registry.ts';
export type { Registry } from './registry.ts';
export { makeTar } from './tar.ts';
export type { TarEntry } from './tar.ts';
