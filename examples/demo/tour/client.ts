import type { Answer, Chapter } from './guide.ts'

const PARIS = 2988507

const cookieOf = ({ headers }: Answer): Record<string, string> => {
  return { cookie: (headers.get('set-cookie') ?? '').split(';')[0] ?? '' }
}

/** What the cache client does: with Redis for all processes, without for this one. */
export const client: Chapter[] = [
  {
    title: 'Values under keys',
    about: 'app.cache.set, get, ttl, keys; on the same tiers, tags and log as responses.',
    async walk(guide) {
      const key = `tour-${guide.visit}`
      for (const name of ['a', 'b', 'c']) {
        const body = { value: { name }, ttl: 60, tags: [`tag-${key}`] }
        await guide.send('PUT', `/cache/${key}:${name}`, { body, quietly: name !== 'a' })
      }
      const { body } = await guide.get(`/cache/${key}:a`)
      guide.shows(body.value?.name === 'a', `It remains for ${body.ttl} s.`)
      const page = await guide.get(`/cache?prefix=${key}&size=2`)
      guide.shows(
        page.body.total === 3,
        `Three keys, two on the page: ${page.body.keys.join(', ')}.`,
      )
      await guide.send('DELETE', `/cache?pattern=${key}:?`)
      const gone = await guide.get(`/cache/${key}:a`)
      guide.shows(
        gone.status === 404,
        'All three are gone with one record, and nothing was searched.',
      )
    },
  },
  {
    title: 'View counters, written behind',
    about:
      'Counted in Redis where there is one, added to PostgreSQL each second, in one statement.',
    async walk(guide) {
      const path = `/cities/${PARIS}/views`
      const { body: before } = await guide.get(path)
      await guide.send('POST', path)
      await Promise.all(
        Array.from({ length: 19 }, () => guide.send('POST', path, { quietly: true })),
      )
      const isThere = await guide.until(async () => {
        const { body } = await guide.send('GET', path, { quietly: true })
        return body.views >= before.views + 20
      })
      guide.shows(isThere, 'Twenty views were one write, and all of them are there.')
    },
  },
  {
    title: 'Sessions',
    about:
      '@fastify/session with its store on the cache client; one tag for all sessions of a user.',
    async walk(guide) {
      const body = { user: `tour-${guide.visit}` }
      const laptop = cookieOf(await guide.send('POST', '/sessions', { body }))
      const phone = cookieOf(await guide.send('POST', '/sessions', { body }))
      const known = await guide.get('/sessions/current', phone)
      guide.shows(known.body.user === body.user, `Two sessions of ${body.user}.`)
      await guide.send('DELETE', '/sessions', { headers: laptop })
      const out = await guide.get('/sessions/current', phone)
      guide.shows(out.status === 401, 'Logged out on the laptop, and everywhere else with it.')
    },
  },
  {
    title: 'Work under a lock',
    about:
      'One at a time. The lock is renewed while the work goes on, and gone when the process dies.',
    async walk(guide) {
      const path = `/lock/tour-${guide.visit}`
      const [first, second] = await Promise.all([
        guide.send('POST', path, { body: { seconds: 0.8 } }),
        guide.send('POST', path, { body: { seconds: 0.8 } }),
      ])
      const statuses = [first.status, second.status].toSorted((a, b) => a - b).join(' and ')
      guide.shows(statuses === '200 and 409', 'At the same time: one works, the other one is told.')
      const third = await guide.send('POST', path, { body: { seconds: 0 } })
      const before = first.status === 200 ? first : second
      guide.shows(
        third.body.fencing > before.body.fencing,
        'Released, with a larger fencing number: a late write of the first can be refused.',
      )
    },
  },
  {
    title: 'A limit',
    about:
      '@fastify/rate-limit: five requests in ten seconds, counted in Redis where there is one.',
    async walk(guide) {
      const path = `/rate-limit/check?client=tour-${guide.visit}`
      const first = await guide.get(path)
      const left = first.headers.get('x-ratelimit-remaining')
      guide.says(`${left} remain; counted in ${first.body.countedIn}.`)
      let last = first
      const isLimited = await guide.until(async () => {
        last = await guide.send('GET', path, { quietly: true })
        return last.status === 429
      })
      guide.shows(
        isLimited && last.headers.get('retry-after') !== null,
        `Then 429: ${last.body.message}`,
      )
    },
  },
]
