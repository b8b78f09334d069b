import type { Folder } from './sight.ts';

/** The relevant fields of a package.json. All others, and fields of another type, count as missing. */
export interface PackageJson {
  /** The word before `@`, such as `bun` or `npm`. */
  readonly packageManager: string | undefined;
  readonly main: string | undefined;
  readonly hasStart: boolean;
  readonly startUses: readonly string[];
  readonly hasDependencies: boolean;
  /** One of the dependencies is a folder beside the project. */
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

/** Undefined if the file is missing, was not read or is not a JSON object. */
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
