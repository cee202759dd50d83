import type { FastifyRequest } from 'fastify'

import { DashboardRefusalError } from '../errors.ts'
import { type CheckedDashboardOptions, isFixedHost } from './options.ts'

type Trust = Pick<CheckedDashboardOptions, 'origins' | 'hosts'>

/**
 * Only the dashboard's own page may use its API: browsers send credentials along with requests that
 * any page makes. Throws where a request is of another page, or may be.
 */
export function checkOrigin(request: FastifyRequest, trust: Trust): void {
  const { origin, 'sec-fetch-site': site } = request.headers
  const changes = request.method !== 'GET' && request.method !== 'HEAD'
  // `none`: the address bar.
  if (site !== undefined && site !== 'same-origin' && (changes || site !== 'none')) {
    throw new DashboardRefusalError(`the request comes from another page (${site})`)
  }
  checkHost(request, trust)
  if (origin === undefined) {
    if (!changes) return
    throw new DashboardRefusalError('the request says no Origin; browsers do, for POST')
  }
  const own = `${request.protocol}://${request.host.toLowerCase()}`
  if (origin === own || trust.origins.has(origin)) return
  throw new DashboardRefusalError(
    `the Origin ${origin} is not ${own}; behind a proxy set trustProxy, or origins: ['${origin}']`,
  )
}

/** Where nobody has to log in, a page could lead its own name to this address (DNS rebinding). */
function checkHost({ protocol, host }: FastifyRequest, { hosts }: Trust): void {
  if (hosts === undefined || isFixedHost(host) || hosts.has(host)) return
  throw new DashboardRefusalError(
    `the dashboard is unprotected, so that names of hosts have to be known: ` +
      `origins: ['${protocol}://${host}'], or a guard in onRequest`,
  )
}
