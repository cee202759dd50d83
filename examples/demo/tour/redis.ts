import type { Chapter, Guide } from './guide.ts'

/** What Redis does beside the cache, on the same connection. */
export const redis: Chapter[] = [
  {
    title: 'Profiles as hashes',
    about: 'Field by field, with an expiry that slides; PostgreSQL is the source.',
    needsRedis: { method: 'GET', path: '/users/ada' },
    async walk(guide) {
      const path = `/users/tour-${guide.visit}`
      await guide.send('PUT', path, {
        body: { name: 'Ada Lovelace', email: 'ada@example.org', city: 'London' },
      })
      const found = await guide.get(`${path}?slide=true`)
      guide.shows(found.body.cache === 'hit', `A hit, kept for ${found.body.ttl} s more.`)
      await guide.send('PATCH', path, { body: { city: 'Paris' } })
      const field = await guide.get(`${path}/city`)
      guide.shows(field.body.value === 'Paris', 'One field was read: HGET.')
      await guide.send('DELETE', path)
      guide.shows((await guide.get(path)).status === 404, 'Its removal is known to Redis as well.')
    },
  },
  {
    title: 'A token bucket in Lua',
    about: 'Read, reckon and write in one step: no two requests take the same token.',
    needsRedis: { method: 'GET', path: '/rate-limit/bucket' },
    async walk(guide) {
      const path = `/rate-limit/bucket?client=tour-${guide.visit}`
      await guide.get(path)
      const all = await Promise.all(
        Array.from({ length: 9 }, () => guide.send('GET', path, { quietly: true })),
      )
      const refused = all.filter(({ status }) => status === 429)
      guide.shows(refused.length > 0, `Of nine more at once ${refused.length} were refused.`)
    },
  },
  {
    title: 'A queue with priorities, and a worker',
    about: 'BullMQ: what a worker that dies had taken, another one gets.',
    needsRedis: { method: 'GET', path: '/queue/tasks' },
    async walk(guide) {
      await guide.send('DELETE', '/queue/tasks', { quietly: true })
      for (const [name, priority] of [
        ['later', 5],
        ['sooner', 1],
      ] as const) {
        await guide.send('POST', '/queue/tasks', { body: { name, priority } })
      }
      await guide.send('POST', '/queue/tasks', { body: { name: 'at once' } })
      const waiting = await guide.get('/queue/tasks')
      const taken: string[] = []
      for (const _ of waiting.body) {
        taken.push((await guide.send('POST', '/queue/tasks/take', { quietly: true })).body.name)
      }
      guide.shows(taken.join(', ') === 'at once, sooner, later', `Taken: ${taken.join(', ')}.`)
      await report(guide)
    },
  },
  {
    title: 'A queue in a plain list',
    about: 'RPUSH and LPOP: enough where a task may be lost with whoever took it.',
    needsRedis: { method: 'GET', path: '/queue/list' },
    async walk(guide) {
      await guide.send('DELETE', '/queue/list', { quietly: true })
      for (const name of ['first', 'second']) {
        await guide.send('POST', '/queue/list', { body: { name } })
      }
      const { body } = await guide.send('POST', '/queue/list/take')
      guide.shows(body.name === 'first' && body.remaining === 1, 'First in, first out.')
    },
  },
  {
    title: 'A leaderboard',
    about: 'A sorted set: Redis keeps the order.',
    needsRedis: { method: 'GET', path: '/leaderboard' },
    async walk(guide) {
      const [ada, bob] = [`ada-${guide.visit}`, `bob-${guide.visit}`]
      await guide.send('POST', `/leaderboard/${ada}`, { body: { points: 1e8 } })
      await guide.send('POST', `/leaderboard/${bob}`, { body: { points: 1e8 + 1 } })
      await guide.get('/leaderboard')
      const [first, second] = [
        await guide.get(`/leaderboard/${bob}`),
        await guide.get(`/leaderboard/${ada}`),
      ]
      guide.shows(first.body.rank < second.body.rank, `Bob is number ${first.body.rank}.`)
    },
  },
  {
    title: 'Events, as they happen',
    about: 'PUBLISH in one process, Server-Sent Events from all; never cached.',
    needsRedis: { method: 'GET', path: '/events' },
    async walk(guide) {
      const text = `hello ${guide.visit}`
      const listening = new AbortController()
      const response = await fetch(`${guide.url}/events`, { signal: listening.signal })
      const heard = firstEvent(response)
      await guide.send('POST', '/events', { body: { text } })
      const event = await heard
      listening.abort()
      guide.shows(event === JSON.stringify({ text }), `Heard: data: ${event}`)
    },
  },
]

async function report(guide: Guide): Promise<void> {
  const ordered = await guide.send('POST', '/queue/reports', { body: { country: 'IS' } })
  const path = `/queue/reports/${ordered.body.id}`
  const isDone = await guide.until(async () => {
    return (await guide.send('GET', path, { quietly: true })).body.state === 'completed'
  })
  const { body } = await guide.get(path)
  guide.shows(isDone, `The worker has counted ${body.result?.cities} cities of Iceland.`)
}

async function firstEvent(response: Response): Promise<string | undefined> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    const event = /^data: (.*)$/m.exec(text)?.[1]
    if (event !== undefined) return event
  }
  return undefined
}
