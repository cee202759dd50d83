// node scripts/complete-lock.js, after `npm install`: adds to package-lock.json the optional packages of
// other platforms that npm left out because its registry does not carry them. Without them `npm ci`
// says that the lock is out of step with package.json, also on the platform that has everything.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const PLATFORM =
  /(android|darwin|freebsd|linux|openharmony|win32)-(x64|arm64|arm|ia32|ppc64|riscv64|s390x)(-.*)?$/

const file = join(dirname(import.meta.dirname), 'package-lock.json')
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []

for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`
    const [, os, cpu, abi] = PLATFORM.exec(name) ?? []
    if (lock.packages[path] !== undefined || os === undefined) continue
    const libc = os === 'linux' && abi ? [abi.includes('musl') ? 'musl' : 'glibc'] : undefined
    const { license, engines } = entry
    // Keys in npm's own order; an undefined one is not written.
    const fields = {
      version,
      cpu: [cpu],
      dev: true,
      libc,
      license,
      optional: true,
      os: [os],
      engines,
    }
    lock.packages[path] = fields
    added.push(name)
  }
}

const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
lock.packages = Object.fromEntries(sorted)
if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'package-lock.json is complete' : `added ${added.join(', ')}`)
