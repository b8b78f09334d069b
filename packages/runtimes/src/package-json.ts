import type { Folder } from './sight.ts';

/** What matters of a package.json. Everything else, and every field of another type, is as if it were not there. */
export interface PackageJson {
  /** The word before `@`, such as `bun` or `npm`. */
  readonly packageManager: string | undefined;
  readonly main: string | undefined;
  readonly hasStart: boolean;
  readonly startUses: readonly string[];
  readonly hasDependencies: boolean;
  /** One of them is a folder beside it. */
  readonly hasLocal: boolean;
}

export function packageJsonOf(folder: Folder): PackageJson | undefined {
  const json = jsonOf(folder, 'package.json');
  if (json === undefined) return undefined;
  const start = fieldsOf(json['scripts'])['start'];
  const manager = json['packageManager'];
  const main = json['main'];
  const hasAny = (field: string): boolean => Object.keys(fieldsOf(json[field])).length > 0;
  return {
    packageManager: typeof manager === 'string' ? manager.split('@')[0] : undefined,
    main: typeof main === 'string' && main !== '' ? main : undefined,
    hasStart: typeof start === 'string' && start !== '',
    startUses: typeof start === 'string' ? start.split(/\s+/) : [],
    hasLocal: /"(?:file|link|portal|workspace):/.test(folder.texts.get('package.json') ?? ''),
    hasDependencies: ['dependencies', 'devDependencies', 'optionalDependencies'].some(hasAny),
  };
}

/** Undefined when the file is not there, was not read or is no JSON object. */
export function jsonOf(folder: Folder, name: string): Readonly<Record<string, unknown>> | undefined {
  const text = folder.texts.get(name);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
