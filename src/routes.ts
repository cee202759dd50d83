import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'

import { InvalidOptionError } from './errors.ts'
import { EXCHANGE, openExchange } from './exchange.ts'
import { listenToSerializer } from './exchange-serializer.ts'
import { serve } from './exchange-serve.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'
import type { CheckedOptions } from './options.ts'
import { type RouteCacheOptions, checkRouteOptions } from './options-route.ts'
import { type Policy, compilePolicy } from './policy.ts'
import type { ResponseCache } from './response-cache.ts'
import { syncResult } from './sync-result.ts'

/** What a route is attached to. A registration in an inner scope takes the route over. */
interface Attachment {
  cache: ResponseCache
  policy: Policy
  scope: FastifyInstance
}

const ATTACHMENT = Symbol('fastify-response-cache.attachment')
type CachedRoute = RouteOptions & { [ATTACHMENT]?: Attachment; websocket?: boolean }

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Compiles each route's policy once, when the route is declared, and attaches the cache to it. */
export function attachRoutes(
  scope: FastifyInstance,
  cache: ResponseCache,
  checked: CheckedOptions,
): void {
  scope.addHook('onRoute', (route: CachedRoute) => {
    const options = optionsOf(route, checked)
    if (options === undefined || route.websocket === true) return
    const attached = route[ATTACHMENT]
    // Registered twice in one scope: the first keeps the route, unless it names the second.
    if (attached?.scope === scope && !namesRegistration(route, checked)) return
    const attachment = { cache, policy: compile(route, options, { cache, checked }), scope }
    if (attached === undefined) attach(route, attachment)
    else Object.assign(attached, attachment)
  })
}

/** The route's options over the defaults; undefined when the route is not cached. */
function optionsOf(route: CachedRoute, checked: CheckedOptions): RouteCacheOptions | undefined {
  const config = (route.config ?? {}) as Record<string, unknown>
  const own = config[checked.decorateAs] ?? config['cache']
  if (own === false) return undefined
  if (own === undefined) {
    const reads = methodsOf(route).some((method) => method === 'GET' || method === 'HEAD')
    return checked.global && reads ? checked.defaults : undefined
  }
  if (own === true) return checked.defaults
  if (own === null || typeof own !== 'object') {
    throw new InvalidOptionError(
      `${nameOf(route)}: config.cache must be true, false or an object of options, got ${JSON.stringify(own)}`,
    )
  }
  return { ...checked.defaults, ...own }
}

function namesRegistration(route: CachedRoute, { decorateAs }: CheckedOptions): boolean {
  return (
    decorateAs !== 'cache' && (route.config as Record<string, unknown>)[decorateAs] !== undefined
  )
}

function methodsOf(route: RouteOptions): string[] {
  return Array.isArray(route.method) ? route.method : [route.method]
}

function nameOf(route: RouteOptions): string {
  return `${methodsOf(route).join(',')} ${route.url}`
}

function compile(
  route: CachedRoute,
  options: RouteCacheOptions,
  { cache, checked }: { cache: ResponseCache; checked: CheckedOptions },
): Policy {
  const where = `${nameOf(route)}: config.cache`
  const own = checkRouteOptions(where, options, checked.maxEntryBytes)
  const methods = methodsOf(route)
  if (methods.includes('GET') && own.ttl === undefined) {
    throw new InvalidOptionError(`${where}.ttl is missing; set it here or in the plugin's defaults`)
  }
  const unsafe = methods.some((method) => !SAFE_METHODS.has(method))
  if (
    !unsafe &&
    own.invalidates !== undefined &&
    own.invalidates !== checked.defaults.invalidates
  ) {
    throw new InvalidOptionError(
      `${where}.invalidates has no effect on ${methods.join(', ')}; it belongs to routes that write`,
    )
  }
  if (unsafe && own.invalidates === undefined && !methods.includes('GET')) {
    throw new InvalidOptionError(
      `${where} has no effect: only GET is cached; use invalidates on routes that write`,
    )
  }
  const policy = compilePolicy(
    {
      url: route.url,
      constraints: route.constraints ?? {},
      namespace: cache.namespace,
      checksFields: route.schema?.headers !== undefined,
    },
    own,
    cache.statsOf(route.url),
  )
  cache.adopt(policy)
  return policy
}

/**
 * Adds our hooks to this route only, and takes the handler's place. The hook arrays of the route
 * belong to the user and may be shared between routes: new ones are assigned.
 */
function attach(route: CachedRoute, attachment: Attachment): void {
  route[ATTACHMENT] = attachment
  const methods = methodsOf(route)
  if (methods.some((method) => !SAFE_METHODS.has(method)) && attachment.policy.invalidates) {
    route.onSend = appended(route.onSend, (request: FastifyRequest, reply: FastifyReply) =>
      invalidateAfter(attachment, request, reply),
    )
  }
  if (!methods.includes('GET') && !methods.includes('HEAD')) return
  const handler = route.handler
  route.handler = function (this: FastifyInstance, request, reply) {
    return serve(request, reply, () => handler.call(this, request, reply))
  }
  route.onRequest = prepended(route.onRequest, (request, reply, done) => {
    const exchange = openExchange(attachment.cache, attachment.policy, request)
    request[EXCHANGE] = exchange
    watchCsrf(reply)
    done()
  })
  route.preSerialization = appended(route.preSerialization, (request, reply, _payload, done) => {
    listenToSerializer(request, reply)
    done()
  })
  route.onError = appended(route.onError, (request, _reply, _error, done) => {
    const fill = request[EXCHANGE]?.fill
    // An error handler may answer 200; it is an answer to this failure all the same.
    if (fill !== undefined) fill.failure = 'error'
    done()
  })
}

/** A reply as @fastify/csrf-protection decorates it. */
interface CsrfReply {
  request: FastifyRequest
  generateCsrf?: (...args: unknown[]) => unknown
}

/** A token belongs to the session it was made for, whether or not a cookie goes with it. */
function watchCsrf(decorated: object): void {
  const reply = decorated as CsrfReply
  const { generateCsrf, request } = reply
  if (generateCsrf === undefined) return
  reply.generateCsrf = function (...args) {
    request[EXCHANGE]!.hasToken = true
    return generateCsrf.apply(reply, args)
  }
}

function appended<Hook>(hooks: Hook | Hook[] | undefined, hook: NoInfer<Hook>): Hook[] {
  return [...listOf(hooks), hook]
}

function prepended<Hook>(hooks: Hook | Hook[] | undefined, hook: NoInfer<Hook>): Hook[] {
  return [hook, ...listOf(hooks)]
}

function listOf<Hook>(hooks: Hook | Hook[] | undefined): Hook[] {
  if (hooks === undefined) return []
  return Array.isArray(hooks) ? hooks : [hooks]
}

/**
 * After a successful write, and before the client has its answer. The write is done, so trouble is
 * reported and the answer stands: this process has forgotten, the others are told when Redis is back.
 */
async function invalidateAfter(
  { cache, policy }: Attachment,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (SAFE_METHODS.has(request.method) || reply.statusCode < 200 || reply.statusCode >= 400) return
  try {
    const { invalidates } = policy
    const tags = syncResult(
      'invalidates',
      typeof invalidates === 'function' ? invalidates(request, reply) : invalidates!,
    )
    const problem = tags.map(tagProblem).find((each) => each !== undefined)
    if (problem !== undefined) throw new TypeError(`invalidates gave a wrong tag: ${problem}`)
    await cache.invalidate({ tags: tags.map((tag) => encodeTag('tag', tag)), mode: 'expire' })
  } catch (error) {
    cache.trouble.report('invalidates', error as Error)
  }
}
