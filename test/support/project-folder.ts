import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Where package.json is: compiled tests run two folders deeper than their sources. */
export function projectFolder(): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}
