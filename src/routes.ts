import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'

import { InvalidOptionError } from './errors.ts'
import { EXCHANGE, ROUTE, openExchange } from './exchange.ts'
import { noteWrites } from './exchange-audit.ts'
import { traceHandler } from './exchange-around.ts'
import { watchInputs } from './exchange-inputs.ts'
import { listenToSerializer } from './exchange-serializer.ts'
import { serve } from './exchange-serve.ts'
import { invalidateAfter } from './exchange-unsafe.ts'
import { isSafeMethod } from './http/cache-groups.ts'
import type { CheckedOptions } from './options.ts'
import { type RouteCacheOptions, checkRouteOptions } from './options-route.ts'
import { type Policy, compilePolicy } from './policy.ts'
import type { ResponseCache } from './response-cache.ts'
import { handlerChannel } from './tracing.ts'

/** What a route is attached to. A registration in an inner scope takes the route over. */
interface Attachment {
  cache: ResponseCache
  policy: Policy
  scope: FastifyInstance
}

const ATTACHMENT = Symbol('fastify-response-cache.attachment')
type CachedRoute = RouteOptions & { [ATTACHMENT]?: Attachment; websocket?: boolean }

/** Compiles each route's policy once, when the route is declared, and attaches the cache to it. */
export function attachRoutes(
  scope: FastifyInstance,
  cache: ResponseCache,
  checked: CheckedOptions,
): void {
  const cachedShapes = new Set<string>()
  scope.addHook('onRoute', (route: CachedRoute) => {
    const own = ownOptions(route, checked)
    if (cache.audit !== undefined && hasUnsafe(route)) {
      route.preHandler = prepended(route.preHandler, noteWrites(cache.audit, cache.tiers.now))
    }
    if (own === false || route.websocket === true) return
    const options = optionsOf(route, own, checked)
    const attached = route[ATTACHMENT]
    // Registered twice in one scope: the first keeps the route, unless it names the second.
    const isKept = attached?.scope === scope && !namesRegistration(route, checked)
    if (options !== undefined && !isKept) {
      const attachment = { cache, policy: compile(route, options, { cache, checked }), scope }
      if (attached === undefined) attach(route, attachment)
      else Object.assign(attached, attachment)
      if (methodsOf(route).includes('GET')) cachedShapes.add(shapeOf(route))
    }
    if (hasUnsafe(route)) watchUnsafe(route, { cache, checked, cachedShapes })
  })
}

/**
 * Each registration does its part after an unsafe request, in one step. Whether a cached route has
 * the same URLs is asked when a request comes: that one may be declared later.
 */
function watchUnsafe(
  route: CachedRoute,
  {
    cache,
    checked,
    cachedShapes,
  }: { cache: ResponseCache; checked: CheckedOptions; cachedShapes: ReadonlySet<string> },
): void {
  const shape = shapeOf(route)
  route.onSend = appended(route.onSend, (request: FastifyRequest, reply: FastifyReply, payload) => {
    const attached = route[ATTACHMENT]
    const policy = attached?.cache === cache ? attached.policy : undefined
    const invalidatesTarget =
      policy?.invalidateTarget ??
      (checked.defaults.invalidateTarget !== false && cachedShapes.has(shape))
    return invalidateAfter({ cache, policy, invalidatesTarget }, request, reply, payload)
  })
}

/** The URL pattern without the names of its parameters: `/a/:id` and `/a/:key` are the same URLs. */
function shapeOf({ url }: RouteOptions): string {
  return url.replace(/:\w+/g, ':')
}

function ownOptions(route: CachedRoute, { decorateAs }: CheckedOptions): unknown {
  const config = (route.config ?? {}) as Record<string, unknown>
  return config[decorateAs] ?? config['cache']
}

/** The route's options over the defaults; undefined when the route is not cached. */
function optionsOf(
  route: CachedRoute,
  own: unknown,
  checked: CheckedOptions,
): RouteCacheOptions | undefined {
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
  const config = route.config as Record<string, unknown> | undefined
  return decorateAs !== 'cache' && config?.[decorateAs] !== undefined
}

function methodsOf(route: RouteOptions): string[] {
  return Array.isArray(route.method) ? route.method : [route.method]
}

function hasUnsafe(route: RouteOptions): boolean {
  return !methodsOf(route).every(isSafeMethod)
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
  checkInvalidates(route, options, checked)
  const policy = compilePolicy(
    {
      url: route.url,
      constraints: route.constraints ?? {},
      namespace: cache.namespace,
      checksFields: route.schema?.headers !== undefined,
      audits: cache.audit !== undefined,
    },
    own,
    cache.statsOf(route.url),
  )
  cache.adopt(policy)
  cache.warnings.note(methods, policy)
  return policy
}

const INVALIDATING = ['invalidates', 'invalidateTarget'] as const

/** What invalidates belongs to routes that write, and those have nothing else here. */
function checkInvalidates(
  route: CachedRoute,
  options: RouteCacheOptions,
  { defaults }: CheckedOptions,
): void {
  const where = `${nameOf(route)}: config.cache`
  const methods = methodsOf(route)
  const named = INVALIDATING.filter((name) => options[name] !== undefined)
  const wrong = named.find((name) => options[name] !== defaults[name])
  // Fastify declares HEAD with the options of a route that may write as well.
  if (wrong !== undefined && !hasUnsafe(route) && methods.includes('GET')) {
    throw new InvalidOptionError(
      `${where}.${wrong} has no effect on ${methods.join(', ')}; it belongs to routes that write`,
    )
  }
  if (named.length === 0 && hasUnsafe(route) && !methods.includes('GET')) {
    throw new InvalidOptionError(
      `${where} has no effect: only GET is cached; ` +
        'use invalidates or invalidateTarget on routes that write',
    )
  }
}

/**
 * Adds our hooks to this route only, and takes the handler's place. The hook arrays of the route
 * belong to the user and may be shared between routes: new ones are assigned.
 */
function attach(route: CachedRoute, attachment: Attachment): void {
  route[ATTACHMENT] = attachment
  route.config = { ...route.config, [ROUTE]: attachment } as NonNullable<RouteOptions['config']>
  const methods = methodsOf(route)
  if (!methods.includes('GET') && !methods.includes('HEAD')) return
  const handler = route.handler
  route.handler = function (this: FastifyInstance, request, reply) {
    const run = (): unknown => {
      if (attachment.cache.inputGuard !== undefined) watchInputs(request)
      return handler.call(this, request, reply)
    }
    if (!handlerChannel.hasSubscribers) return serve(request, reply, run)
    return serve(request, reply, () => traceHandler(request, reply, run))
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
