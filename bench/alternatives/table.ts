import { type Check, NOTHING } from './check.ts'
import type { Peer } from './peers.ts'

/** Answers by title of the check, then by name of the peer. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, string>>

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

export function markdown(checks: readonly Check[], peers: readonly Peer[], of: Results): string {
  const heads = ['', ...peers.map(heading)]
  const rows = checks.map(({ title }) => [
    title,
    ...peers.map(({ name }) => of.get(title)?.get(name) ?? NOTHING),
  ])
  return [row(heads), row(heads.map(() => '---')), ...rows.map(row)].join('\n')
}

function heading({ name, packages }: Peer): string {
  const version = Object.values(packages)[0]
  return version === undefined ? name : `${name} ${version}`
}
