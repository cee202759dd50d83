/**
 * What a function of the options returned. A promise is refused: nobody waits for it here, and if it
 * rejected, nobody would hear of that but the process.
 */
export function syncResult<Value>(option: string, value: Value): Value {
  if (value instanceof Promise) {
    value.catch(() => {})
    throw new TypeError(`${option} returned a promise; it must return its value at once`)
  }
  return value
}
