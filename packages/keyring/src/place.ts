/** Where a value is stored. A value that is moved to another place cannot be opened there. */
export interface Place {
  readonly table: string;
  /** The id of the row. */
  readonly row: string;
  readonly field: string;
  /** The id of the team that owns the row. */
  readonly team: string;
}

/** Different places have different bytes: each part is preceded by its length. */
export function bytesOfPlace({ table, row, field, team }: Place): Buffer {
  const parts = [table, row, field, team].map((text) => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return Buffer.concat(parts);
}
