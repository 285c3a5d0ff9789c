/**
 * Where each header of a message lies, without an allocation per message: tables are cut from a shared slab.
 * @module
 */

/** Fields of one row. */
export const HASH = 0
export const NAME_START = 1
export const NAME_END = 2
export const VALUE_START = 3
/** Offset behind the last byte of the value (before the line end that closes the header). */
export const VALUE_END = 4
/** Integers in a row. */
export const ROW = 5

const SLAB_ROWS = 1024

let slab = new Int32Array(SLAB_ROWS * ROW)
let used = 0

/** Where the next table begins. */
export interface TableCursor {
  table: Int32Array
  base: number
}

/** Room for a new table; whoever writes a row past the end of `table` calls `growTable` first. */
export function openTable(): TableCursor {
  if (slab.length - used < 64 * ROW) {
    slab = new Int32Array(SLAB_ROWS * ROW)
    used = 0
  }
  return { table: slab, base: used }
}

/** Moves a table that has `rows` rows and met the end of its slab to a larger one. */
export function growTable(cursor: TableCursor, rows: number): void {
  slab = new Int32Array(Math.max(SLAB_ROWS, rows * 4) * ROW)
  slab.set(cursor.table.subarray(cursor.base, cursor.base + rows * ROW))
  used = 0
  cursor.table = slab
  cursor.base = 0
}

/** Keeps the rows that were written from `base` on; without it the next message overwrites them. */
export function keepTable(base: number, rows: number): void {
  used = base + rows * ROW
}
