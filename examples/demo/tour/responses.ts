import type { Chapter } from './guide.ts'

const PARIS = 2988507
const isHit = (cache: string): boolean => cache.startsWith('hit')

/** The response cache itself. */
export const responses: Chapter[] = [
  {
    title: 'A search of 135,233 cities, twice',
    about: 'The first reads every row of PostgreSQL, the second reads nothing.',
    async walk(guide) {
      const path = '/cities?name=paris&size=5'
      const first = await guide.get(path)
      const second = await guide.get(path)
      guide.shows(isHit(second.cache), 'Cache-Status (RFC 9211) tells what the cache did.')
      const times = (first.milliseconds / second.milliseconds).toFixed(0)
      if (!isHit(first.cache)) guide.says(`The hit took a ${times}th of the time.`)
    },
  },
  {
    title: 'A write makes invalid what it touches',
    about: 'Each response carries the tags of what it shows; a write names tags, not URLs.',
    async walk(guide) {
      const [touched, other] = ['/cities?name=paris&size=5', '/cities?name=reykjavik']
      await guide.send('GET', other, { quietly: true })
      const { body: before } = await guide.send('GET', `/cities/${PARIS}`, { quietly: true })
      const population = before.population === 2102650 ? 2102651 : 2102650
      await guide.send('PATCH', `/cities/${PARIS}`, { body: { population } })
      const search = await guide.get(touched)
      guide.shows(
        !isHit(search.cache) && JSON.stringify(search.body).includes(`${population}`),
        'The search contains the city: it was made anew, before anybody could get the old one.',
      )
      guide.shows(isHit((await guide.get(other)).cache), 'This one does not, and is still a hit.')
      const was = { population: before.population }
      await guide.send('PATCH', `/cities/${PARIS}`, { body: was, quietly: true })
    },
  },
  {
    title: 'Stale while it revalidates',
    about:
      'Fresh for two seconds, then given at once while one run in the background makes it anew.',
    async walk(guide) {
      const { body: first } = await guide.get('/cities/largest')
      await new Promise((resolve) => setTimeout(resolve, 2100))
      const stale = await guide.get('/cities/largest')
      guide.shows(
        isHit(stale.cache) && /ttl=-/.test(stale.cache),
        'A negative ttl: it is stale, and nobody waited.',
      )
      const isNew = await guide.until(async () => {
        const { body } = await guide.send('GET', '/cities/largest', { quietly: true })
        return body.asOf !== first.asOf
      })
      guide.shows(isNew, 'A moment later the new one is there.')
    },
  },
  {
    title: 'One response for each language, not for each header',
    about: 'vary: Accept-Language, reduced to the languages that there are.',
    async walk(guide) {
      const path = '/countries/FR/name'
      const german = await guide.get(path, { 'accept-language': 'de' })
      const austrian = await guide.get(path, { 'accept-language': 'de-AT, de;q=0.9, en;q=0.5' })
      const spanish = await guide.get(path, { 'accept-language': 'es' })
      guide.shows(
        german.body.name === 'Frankreich' && isHit(austrian.cache),
        "'de-AT, de;q=0.9' and 'de' share one: Frankreich.",
      )
      guide.shows(spanish.body.name === 'Francia', 'Spanish is another: Francia.')
    },
  },
  {
    title: 'A private response',
    about: 'Credentials go around the cache, unless the route says whose response it is.',
    async walk(guide) {
      const [ada, bob] = ['ada', 'bob'].map((name) => {
        return { authorization: `Bearer ${name}-${guide.visit}` }
      })
      await guide.get('/favourites', ada)
      const again = await guide.get('/favourites', ada)
      const others = await guide.get('/favourites', bob)
      guide.shows(isHit(again.cache) && !isHit(others.cache), 'Ada gets hers, and Bob never that.')
      await guide.send('PUT', `/favourites/${PARIS}`, { headers: ada ?? {} })
      const written = await guide.get('/favourites', ada)
      guide.shows(written.body.length === 1, 'Her write made hers invalid.')
      guide.shows(isHit((await guide.get('/favourites', bob)).cache), 'His is still a hit.')
      await guide.send('DELETE', `/favourites/${PARIS}`, { headers: ada ?? {}, quietly: true })
    },
  },
  {
    title: 'Events and patterns that invalidate',
    about: 'Who emits an event knows no tags; a pattern is one record in the log, not a search.',
    async walk(guide) {
      for (const path of ['/countries/IS', `/cities/${PARIS}`]) {
        await guide.send('GET', path, { quietly: true })
        await guide.get(path)
      }
      await guide.send('POST', '/countries/IS/changed')
      guide.shows(!isHit((await guide.get('/countries/IS')).cache), 'The event was mapped to tags.')
      await guide.send('POST', '/cities/invalidate', { body: { pattern: '/cities/29*' } })
      const city = await guide.get(`/cities/${PARIS}`)
      guide.shows(!isHit(city.cache), `The path /cities/${PARIS} matches /cities/29*.`)
    },
  },
  {
    title: 'A new version of the code',
    about: 'Values in a namespace with a version: the old and the new code do not read each other.',
    async walk(guide) {
      const one = await guide.get('/countries/FR/summary?version=1')
      const two = await guide.get('/countries/FR/summary?version=2')
      const oneAgain = await guide.get('/countries/FR/summary?version=1')
      guide.says(two.body.text)
      guide.shows(
        one.body.text !== two.body.text && one.body.madeAt === oneAgain.body.madeAt,
        'Processes that still run version 1 go on with their values.',
      )
    },
  },
]
