// The packed package as its user meets it: in a folder of its own, the quickstart compiles against its
// types, and both import() and require() load it.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const NAME = 'fastify-response-cache'
const root = dirname(import.meta.dirname)
// Inside the project, so that fastify and ioredis are found in the project's node_modules.
const user = join(root, '.cache', 'package-user')
const installed = join(user, 'node_modules', NAME)

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, ...args) {
  const { status } = spawnSync(command, args, {
    cwd: user,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) process.exit(status ?? 1)
}

rmSync(user, { recursive: true, force: true })
mkdirSync(installed, { recursive: true })
run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', user, root)
const packed = readdirSync(user).find((name) => name.endsWith('.tgz')) ?? ''
run('tar', '-xzf', join(user, packed), '-C', installed, '--strip-components=1')

writeFileSync(join(user, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
copyFileSync(join(root, 'examples', 'quickstart.ts'), join(user, 'quickstart.ts'))
writeFileSync(
  join(user, 'metrics.ts'),
  `import { registerMetrics, type MetricsOptions } from '${NAME}/metrics'
import * as client from 'prom-client'
export const register = (caches: MetricsOptions['caches']) => registerMetrics(client, { caches })
`,
)
writeFileSync(
  join(user, 'dashboard.ts'),
  `import dashboard, { type DashboardOptions } from '${NAME}/dashboard'
import type { FastifyInstance } from 'fastify'
export const register = (app: FastifyInstance, onRequest: DashboardOptions['onRequest'] & {}) =>
  app.register(dashboard, { prefix: '/cache-dashboard', onRequest })
`,
)
// What is packed is all there: the page, and the charts from their own package.
writeFileSync(
  join(user, 'dashboard-starts.js'),
  `import Fastify from 'fastify'
import responseCache from '${NAME}'
import dashboard from '${NAME}/dashboard'
const app = Fastify()
await app.register(responseCache)
await app.register(dashboard, { prefix: '/d', unprotected: true })
for (const name of ['', 'main.js', 'page.css', 'uplot.js', 'uplot.css']) {
  const { statusCode } = await app.inject('/d/' + name)
  if (statusCode !== 200) throw new Error('/d/' + name + ' is answered with ' + statusCode)
}
await app.close()
`,
)
const compilerOptions = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  noEmit: true,
  types: ['node'],
}
writeFileSync(
  join(user, 'tsconfig.json'),
  JSON.stringify({ compilerOptions, files: ['quickstart.ts', 'metrics.ts', 'dashboard.ts'] }),
)
run(join(root, 'node_modules', '.bin', 'tsc'), '-p', user)

const check = `if (typeof loaded.default !== 'function') throw new Error('no plugin in ${NAME}')`
run(
  process.execPath,
  '--input-type=module',
  '-e',
  `const loaded = await import('${NAME}'); ${check}`,
)
run(process.execPath, '--input-type=commonjs', '-e', `const loaded = require('${NAME}'); ${check}`)

const called = `if (typeof loaded.registerMetrics !== 'function') throw new Error('no metrics in ${NAME}')`
run(
  process.execPath,
  '--input-type=module',
  '-e',
  `const loaded = await import('${NAME}/metrics'); ${called}`,
)
run(
  process.execPath,
  '--input-type=commonjs',
  '-e',
  `const loaded = require('${NAME}/metrics'); ${called}`,
)

run(process.execPath, 'dashboard-starts.js')
