export type Direction = 'ascending' | 'descending'

export interface Order<Column extends string> {
  column: Column
  direction: Direction
}

const collator = new Intl.Collator('en', { numeric: true })

/** Numbers by value, texts as people sort them; what is not known comes last in both directions. */
export function compare(one: SortKey, other: SortKey, direction: Direction): number {
  if (one === undefined || other === undefined)
    return Number(one === undefined) - Number(other === undefined)
  const isNumber = typeof one === 'number' && typeof other === 'number'
  const order = isNumber ? one - other : collator.compare(String(one), String(other))
  return direction === 'ascending' ? order : -order
}

export type SortKey = number | string | undefined

/** A sorted copy; rows that are equal keep their order. */
export function sorted<Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => SortKey,
  direction: Direction,
): Row[] {
  return [...rows].sort((one, other) => compare(keyOf(one), keyOf(other), direction))
}

/** What a press on the head of a column does: turns it round, or begins where the most is on top. */
export function nextOrder<Column extends string>(
  order: Order<Column>,
  pressed: Column,
  isText: boolean,
): Order<Column> {
  if (order.column !== pressed) {
    return { column: pressed, direction: isText ? 'ascending' : 'descending' }
  }
  return {
    column: pressed,
    direction: order.direction === 'ascending' ? 'descending' : 'ascending',
  }
}
