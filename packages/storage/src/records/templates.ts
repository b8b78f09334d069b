import type { AuditNote } from './audit.ts';

/** A template that a team builds under a name: sandboxes are created from the build that one of its tags points at. */
export interface TemplateRecord {
  /** 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Lower case; unique within the team. */
  readonly name: string;
  /** Whether other teams may create sandboxes from it. */
  readonly isPublic: boolean;
  readonly createdAt: number;
  /** The last time a build was requested, a tag moved or its visibility changed. */
  readonly updatedAt: number;
  /** Undefined until a sandbox was created from it. */
  readonly lastSpawnedAt: number | undefined;
  readonly spawnCount: number;
}

/** A name of a finished build within its template. */
export interface TemplateTag {
  readonly tag: string;
  readonly buildId: string;
  /** The time since which it points at this build. */
  readonly createdAt: number;
}

export interface TemplateRecords {
  /**
   * The team's template with this name, created now if there is none. Undefined if the team already has `limit`
   * templates. Count and write are one step.
   */
  ensure(
    template: Pick<TemplateRecord, 'id' | 'teamId' | 'name' | 'createdAt'>,
    limit: number,
  ): Promise<TemplateRecord | undefined>;
  /** Finds a template of any team. */
  findById(id: string): Promise<TemplateRecord | undefined>;
  findByName(teamId: string, name: string): Promise<TemplateRecord | undefined>;
  /** The oldest public template with this name, of any team. */
  findPublic(name: string): Promise<TemplateRecord | undefined>;
  /** The team's templates, newest first. */
  list(teamId: string): Promise<TemplateRecord[]>;
  setPublic(id: string, isPublic: boolean, now: number, note?: AuditNote): Promise<void>;
  /** Records that a sandbox was created from it. */
  noteSpawn(id: string, now: number): Promise<void>;
  /**
   * Deletes it with its tags, builds and logs. Returns the ids of its builds. Returns `in_use` and does nothing while
   * sandboxes of any team that were created from it run or are paused, or are being created. Undefined if there is no
   * such template.
   */
  remove(id: string, aliveAfter: number): Promise<readonly string[] | 'in_use' | undefined>;

  /** By tag. */
  listTags(id: string): Promise<TemplateTag[]>;
  findTag(id: string, tag: string): Promise<TemplateTag | undefined>;
  /** Points tags at a build of the template. Returns the builds that no tag points at any more. */
  assignTags(id: string, buildId: string, tags: readonly string[], now: number): Promise<string[]>;
  /** Removes tags and returns the same. Returns undefined and does nothing if one of them does not exist. */
  removeTags(id: string, tags: readonly string[], now: number): Promise<string[] | undefined>;
}
