/** What a team gave a name and builds: sandboxes are made from the build that one of its tags points at. */
export interface TemplateRecord {
  /** 20 of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Lower case; the team's only template of this name. */
  readonly name: string;
  /** Whether other teams may make sandboxes from it. */
  readonly isPublic: boolean;
  readonly createdAt: number;
  /** When a build was asked for, a tag moved or its visibility changed last. */
  readonly updatedAt: number;
  /** Undefined while no sandbox was made from it. */
  readonly lastSpawnedAt: number | undefined;
  readonly spawnCount: number;
}

/** A name of a finished build within its template. */
export interface TemplateTag {
  readonly tag: string;
  readonly buildId: string;
  /** When it came to point at this build. */
  readonly createdAt: number;
}

export interface TemplateRecords {
  /**
   * The team's template of this name, written now when there is none. Undefined when the team has `limit` templates
   * already. Count and write are one step.
   */
  ensure(
    template: Pick<TemplateRecord, 'id' | 'teamId' | 'name' | 'createdAt'>,
    limit: number,
  ): Promise<TemplateRecord | undefined>;
  /** Of any team. */
  findById(id: string): Promise<TemplateRecord | undefined>;
  findByName(teamId: string, name: string): Promise<TemplateRecord | undefined>;
  /** The oldest public one of this name, of any team. */
  findPublic(name: string): Promise<TemplateRecord | undefined>;
  /** The team's, newest first. */
  list(teamId: string): Promise<TemplateRecord[]>;
  setPublic(id: string, isPublic: boolean, now: number): Promise<void>;
  /** A sandbox was made from it. */
  noteSpawn(id: string, now: number): Promise<void>;
  /**
   * Deletes it with its tags, builds and logs. Gives the ids of its builds; `in_use` and nothing done while sandboxes of
   * any team run or sleep that were made from it, or are being made; undefined when there is none.
   */
  remove(id: string, aliveAfter: number): Promise<readonly string[] | 'in_use' | undefined>;

  /** By tag. */
  listTags(id: string): Promise<TemplateTag[]>;
  findTag(id: string, tag: string): Promise<TemplateTag | undefined>;
  /** Points tags at a build of the template. Gives the builds that no tag points at any more. */
  assignTags(id: string, buildId: string, tags: readonly string[], now: number): Promise<string[]>;
  /** The same for tags that go. Undefined, and nothing done, when one of them does not exist. */
  removeTags(id: string, tags: readonly string[], now: number): Promise<string[] | undefined>;
}
