import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { type Socket, connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * What an open dashboard costs: processor time of one server under a steady load, with one stream of
 * `api/events` and without, in turn.
 *
 *     npm run bench:dashboard [-- ROUNDS SECONDS RATE ROUTES]
 */
const [rounds = 10, seconds = 10, rate = 1000, routes = 20] = process.argv.slice(2).map(Number)

const CONNECTIONS = 20
const STEP_MS = 10

interface Usage {
  cpuMicros: number
  at: number
}

const server = fork(new URL('./server.js', import.meta.url), ['dashboard', String(routes)])
const [{ port }] = (await once(server, 'message')) as [{ port: number }]

async function usage(child: ChildProcess): Promise<Usage> {
  const answer = once(child, 'message')
  child.send('usage')
  return (await answer)[0] as Usage
}

let asked = 0
let answered = 0

/** `rate` requests each second over all connections, until it is stopped. */
function steadyLoad(): () => void {
  const sockets = Array.from({ length: CONNECTIONS }, openConnection)
  const startedAt = performance.now()
  const startedWith = asked
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1000) * rate + startedWith
    while (asked < due) send(sockets[asked % CONNECTIONS]!)
  }, STEP_MS)
  return () => {
    clearInterval(timer)
    for (const socket of sockets) socket.destroy()
  }
}

function openConnection(): Socket {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.setEncoding('latin1').on('data', (text: string) => {
    answered += text.split('HTTP/1.1 200').length - 1
  })
  return socket
}

// Seven of eight are hits of a hundred URLs on each route; the rest are new to the cache.
function send(socket: Socket): void {
  const page = asked % 8 === 0 ? `new-${asked}` : String(asked % 100)
  const path = `/route-${asked % routes}/${page}`
  asked++
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench.example\r\n\r\n`)
}

interface Stream {
  ticks(): number
  close(): void
}

async function openDashboard(): Promise<Stream> {
  let ticks = 0
  const request = get(`http://127.0.0.1:${port}/cache-dashboard/api/events`)
  const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream]
  response.setEncoding('utf8')
  response.on('data', (text: string) => {
    ticks += text.split('event: tick').length - 1
  })
  return { ticks: () => ticks, close: () => request.destroy() }
}

/** Percent of one core that the server uses. */
async function share(): Promise<number> {
  const before = await usage(server)
  await pause(seconds * 1000)
  const after = await usage(server)
  return (after.cpuMicros - before.cpuMicros) / (after.at - before.at) / 10
}

async function shareWithDashboard(): Promise<number> {
  const stream = await openDashboard()
  await pause(1000) // the page's first load is not what an open page costs
  const used = await share()
  if (stream.ticks() < seconds - 2) throw new Error(`only ${stream.ticks()} ticks came`)
  stream.close()
  return used
}

function quartiles(values: number[]): [number, number, number] {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number): number => sorted[Math.round((sorted.length - 1) * part)]!
  return [at(0.25), at(0.5), at(0.75)]
}

function line(title: string, values: number[]): string {
  const [low, middle, high] = quartiles(values)
  return `${title.padEnd(34)} ${middle.toFixed(2)} %   (${low.toFixed(2)} … ${high.toFixed(2)})`
}

async function compare(title: string): Promise<void> {
  const closed: number[] = []
  const open: number[] = []
  for (let index = 0; index < rounds; index++) {
    const inTurn = [
      async () => closed.push(await share()),
      async () => open.push(await shareWithDashboard()),
    ]
    if (index % 2 === 1) inTurn.reverse()
    for (const measure of inTurn) await measure()
  }
  console.log(line(`${title}, closed`, closed))
  console.log(line(`${title}, open`, open))
  console.log(
    line(
      `${title}, difference`,
      open.map((value, index) => value - closed[index]!),
    ),
  )
}

console.log(`Node ${process.version}, ${rounds} rounds of ${seconds} s each, ${routes} routes`)
console.log('percent of one core: median (quartiles)')
await compare('no requests')
const stop = steadyLoad()
await pause(3000)
const from = { answered, at: performance.now() }
await compare(`${rate} requests per second`)
const held = ((answered - from.answered) / (performance.now() - from.at)) * 1000
console.log(`answered: ${held.toFixed(0)} requests per second`)
stop()
process.exit()
