export { detect, equallySure, getRuntime } from './detect.ts';
export type { Detection } from './detect.ts';
export { fullTemplate, languages, runtimeNames } from './names.ts';
export type { Language, RuntimeName } from './names.ts';
export { permissionNames } from './runtime.ts';
export type { CodeFile, Execution, Features, Permissions, Preparation, Runtime, Task } from './runtime.ts';
export { emptyFolder, readFiles } from './sight.ts';
export type { Folder, Sight } from './sight.ts';
export { parseVersion, runs } from './version.ts';
