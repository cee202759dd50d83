import { type IncomingHttpHeaders, request } from 'node:http'
import { performance } from 'node:perf_hooks'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  seconds: number
}

export interface Ask {
  method?: string
  headers?: Record<string, string>
  timeoutMs?: number
}

export const PATIENCE_MS = 10_000

/** Of all requests, whatever the port of the process: it is part of some keys. That of load.ts. */
const HOST = 'bench.example'

/** One request on a connection of its own; `undefined` when there was no answer in time. */
export function ask(port: number, path: string, options: Ask = {}): Promise<Answer | undefined> {
  const { method = 'GET', timeoutMs = PATIENCE_MS } = options
  const headers = { host: HOST, ...options.headers }
  const start = performance.now()
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: '127.0.0.1', path, method, headers, agent: false })
    const timer = setTimeout(() => {
      resolve(undefined)
      outgoing.destroy()
    }, timeoutMs)
    outgoing.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        clearTimeout(timer)
        const seconds = (performance.now() - start) / 1000
        const { statusCode: status = 0, headers: fields } = incoming
        resolve({ status, headers: fields, body: Buffer.concat(chunks), seconds })
      })
    })
    outgoing.end()
  })
}
