/** Where a block is in the object store: bytes of a pack. */
export interface PackPlace {
  readonly pack: string;
  readonly at: number;
  readonly length: number;
}

const idLength = 32;
const placeForm = /^[0-9a-f]{32}@([0-9a-f]{32})\.(\d{1,8})\.(\d{1,8})$/;

/**
 * What a block is called on the disk. Its name in the metadata begins with it. Once the block is in the object store, the
 * name also says where: so a copy of the metadata is all that a new host needs.
 */
export const blockId = (name: string): string => name.slice(0, idLength);

/** The name of a block that is in the object store. */
export function nameInPack(name: string, { pack, at, length }: PackPlace): string {
  return `${blockId(name)}@${pack}.${at}.${length}`;
}

/** Undefined for a block that is on the disk only. */
export function findPackPlace(name: string): PackPlace | undefined {
  const [, pack, at, length] = placeForm.exec(name) ?? [];
  return pack === undefined ? undefined : { pack, at: Number(at), length: Number(length) };
}
