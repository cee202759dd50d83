// The example with OpenTelemetry: what the cache does is below the request, what the handler does below it.
import assert from 'node:assert/strict'
import type { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'

import { FastifyOtelInstrumentation } from '@fastify/otel'
import { type Context, context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import Fastify from 'fastify'

import { spanTheCache } from '../../examples/tracing.ts'
import responseCache from '../../src/index.ts'

test('spans of the cache are below the span of the request, those of the handler below its own', async (t) => {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const manager = new AsyncLocalStorageContextManager().enable()
  context.setGlobalContextManager(manager)
  trace.setGlobalTracerProvider(provider)
  // OpenTelemetry has no public way to where it keeps the context.
  const { _asyncLocalStorage: contexts } = manager as unknown as {
    _asyncLocalStorage: AsyncLocalStorage<Context>
  }
  t.after(spanTheCache(contexts))
  const app = Fastify()
  t.after(() => app.close())
  const otel = new FastifyOtelInstrumentation()
  otel.setTracerProvider(provider)
  // What is registered later wraps what the cache has put in the handler's place.
  await app.register(responseCache, { defaults: { ttl: '1m' } })
  await app.register(otel.plugin())
  app.get('/x', { config: { cache: { tags: ['x'] } } }, async () => {
    trace.getTracer('shop').startSpan('query').end()
    return 'x'
  })
  app.get('/fails', { config: { cache: true } }, () => {
    throw new Error('at once')
  })
  await app.inject('/x')
  await provider.forceFlush()
  const spans = exporter.getFinishedSpans()
  const named = (name: string): ReadableSpan => {
    const found = spans.find((span) => span.name === name)
    assert.ok(found, `${name} among ${spans.map((span) => span.name).join(', ')}`)
    return found
  }
  const idOf = (span: ReadableSpan): string => span.spanContext().spanId
  const request = spans.find((span) => span.parentSpanContext === undefined)!
  const ancestors = (span: ReadableSpan): string[] => {
    const parent = spans.find((other) => idOf(other) === span.parentSpanContext?.spanId)
    return parent === undefined ? [] : [idOf(parent), ...ancestors(parent)]
  }
  for (const name of ['cache.lookup', 'cache.handler', 'cache.store', 'query']) {
    assert.ok(ancestors(named(name)).includes(idOf(request)), `${name} is below the request`)
  }
  assert.ok(ancestors(named('query')).includes(idOf(named('cache.handler'))))
  assert.equal(named('cache.lookup').attributes['cache.state'], 'none')
  assert.equal(named('cache.handler').attributes['cache.reason'], 'uri-miss')
  exporter.reset()
  await app.inject('/x')
  const again = new Set(exporter.getFinishedSpans().map((span) => span.name))
  assert.ok(again.has('cache.lookup') && !again.has('cache.handler'))
  await app.inject('/fails')
  const failed = exporter.getFinishedSpans().find((span) => span.name === 'cache.handler')
  assert.equal(failed?.events[0]?.attributes?.['exception.message'], 'at once')
})
