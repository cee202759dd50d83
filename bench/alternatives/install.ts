import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { PEERS, REFUSES } from './peers.ts'

const folder = join(import.meta.dirname, '../../../.cache/alternatives')

/** Installs the exact versions of all peers into .cache/alternatives, and nothing into the project. */
export function install(say: (line: string) => void): void {
  const dependencies: Record<string, string> = Object.assign(
    {},
    ...[...PEERS, REFUSES].map(({ packages }) => packages),
  )
  const manifest = JSON.stringify({ private: true, dependencies }, null, 2)
  const file = join(folder, 'package.json')
  const done = join(folder, 'installed.json')
  if (existsSync(done) && readFileSync(done, 'utf8') === manifest) return
  for (const [name, version] of Object.entries(dependencies)) say(`${name}@${version}`)
  say('npm install into .cache/alternatives')
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, manifest)
  // import() resolves from the file it stands in.
  writeFileSync(join(folder, 'load.mjs'), 'export default (name) => import(name)\n')
  // Without legacy-peer-deps npm would add a Fastify of its own to plugins; they get ours.
  const options = ['--legacy-peer-deps', '--ignore-scripts', '--no-audit', '--no-fund']
  execFileSync('npm', ['install', ...options, '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  writeFileSync(done, manifest)
}

/** A module of a peer, from where it was installed. */
export async function load<T>(name: string): Promise<T> {
  const loader = (await import(pathToFileURL(join(folder, 'load.mjs')).href)) as {
    default: (name: string) => Promise<T>
  }
  return loader.default(name)
}
