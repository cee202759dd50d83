// Spans of OpenTelemetry for what the cache does, below the span of the request that @fastify/otel makes:
// spanTheCache() subscribes to the tracing channels.
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'

import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  context,
  trace,
} from '@opentelemetry/api'
import type { AsyncLocalStorage } from 'node:async_hooks'

const CHANNELS = ['lookup', 'handler', 'store', 'invalidate'] as const
type Payload = Record<string, unknown>

/** Returns what ends it. Where the context is kept in a store, the spans of a handler are below its own. */
export function spanTheCache(contexts?: AsyncLocalStorage<Context>): () => void {
  const ends = CHANNELS.map((name) => spanOf(name, contexts))
  return () => {
    for (const end of ends) end()
  }
}

function spanOf(name: string, contexts: AsyncLocalStorage<Context> | undefined): () => void {
  const tracer = trace.getTracer('fastify-response-cache')
  const channel = tracingChannel<Context, Payload>(`fastify-response-cache:${name}`)
  const spans = new WeakMap<Payload, Span>()
  const begin = (payload: Payload): Span => {
    let span = spans.get(payload)
    if (span === undefined) spans.set(payload, (span = tracer.startSpan(`cache.${name}`)))
    return span
  }
  const finish = (payload: Payload): void => {
    const span = spans.get(payload)
    for (const [key, value] of Object.entries(payload)) {
      if (key !== 'error') span?.setAttribute(`cache.${key}`, value as string)
    }
    span?.end()
  }
  const subscribers: TracingChannelSubscribers<Payload> = {
    start: (payload) => void begin(payload),
    end: (payload) => {
      // In memory all is over; and what throws at once has no later.
      if (payload['sync'] === true || payload['error'] !== undefined) finish(payload)
    },
    asyncStart: () => {},
    asyncEnd: finish,
    error: (payload) => {
      spans.get(payload)?.recordException(payload['error'] as Error)
      spans.get(payload)?.setStatus({ code: SpanStatusCode.ERROR })
    },
  }
  channel.subscribe(subscribers)
  if (contexts !== undefined) {
    channel.start.bindStore(contexts, (payload) =>
      trace.setSpan(context.active() ?? ROOT_CONTEXT, begin(payload)),
    )
  }
  return () => {
    channel.unsubscribe(subscribers)
    if (contexts !== undefined) channel.start.unbindStore(contexts)
  }
}
