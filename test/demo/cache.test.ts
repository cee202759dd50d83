import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'

import { type Demo, eventually, startDemo } from './demo.ts'

const PARIS = 2988507
const MISS = 'fwd=uri-miss; stored'
const STALE = 'fwd=stale; stored' // forwarded, because what is stored was invalidated
const HIT = /^hit; ttl=\d+$/

describe('The demo in memory', () => {
  let demo: Demo
  before(async () => {
    demo = await startDemo()
  })
  after(() => demo.end())

  /** Asks until the answer is stored; the next write is then what a later miss comes from. */
  async function cached(...paths: string[]): Promise<void> {
    for (const path of paths) {
      await demo.get(path)
      assert.match((await demo.get(path)).cache ?? '', HIT, path)
    }
  }

  async function isStale(...paths: string[]): Promise<void> {
    for (const path of paths) assert.equal((await demo.get(path)).cache, STALE, path)
  }

  async function isHit(...paths: string[]): Promise<void> {
    for (const path of paths) assert.match((await demo.get(path)).cache ?? '', HIT, path)
  }

  it('answers from the cache until a write, then with what was written', async () => {
    const path = `/cities/${PARIS}`
    assert.equal((await demo.get(path)).cache, MISS)
    const hit = await demo.get(path)
    assert.match(hit.cache ?? '', HIT)
    assert.equal(hit.body.population, 2138551)

    const patched = await demo.send('PATCH', path, { body: { population: 2102650 } })
    assert.equal(patched.status, 200)
    const anew = await demo.get(path)
    assert.equal(anew.cache, STALE)
    assert.equal(anew.body.population, 2102650)
    assert.match((await demo.get(path)).cache ?? '', HIT)
  })

  it('does what the three lines on its startup screen say', async () => {
    const lines = demo.output.split('\n').filter((line) => line.startsWith('  curl'))
    assert.equal(lines.length, 3)
    const printed = lines.map((line) => execFileSync('sh', ['-c', line], { encoding: 'utf8' }))
    assert.match(printed[0] ?? '', /^cache-status: fastify; fwd=uri-miss; stored\s*$/)
    assert.match(printed[1] ?? '', /^cache-status: fastify; hit; ttl=\d+\s*$/)
    assert.match(printed[2] ?? '', /cache-status: fastify; fwd=stale; stored\s*$/)
  })

  it('finds cities without regard to case and accents, by page, in order of population', async () => {
    const first = await demo.get('/cities?name=REYKJAVIK')
    assert.deepEqual(
      first.body.cities.map((city: { name: string }) => city.name),
      ['Reykjavík'],
    )
    const pages = ['/cities?country=IS&size=3', '/cities?country=IS&size=3&page=2']
    const answers = await Promise.all(pages.map((path) => demo.get(path)))
    const cities: { population: number }[] = answers.flatMap(({ body }) => body.cities)
    const sizes = cities.map(({ population }) => population)
    assert.equal(sizes.length, 6)
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    )
    const range = await demo.get('/cities?minPopulation=10000000&maxPopulation=12000000&size=100')
    assert.ok(range.body.total > 0)
    for (const { population } of range.body.cities) {
      assert.ok(population >= 10_000_000 && population <= 12_000_000)
    }
    assert.equal((await demo.get('/cities?name=%25')).body.total, 0)
  })

  it('refreshes the searches that a new city begins to match, and no others', async () => {
    const touched = ['/cities?name=lutetia', '/cities?country=FR', '/cities?maxPopulation=1300']
    const untouched = ['/cities?name=reykjavik', '/cities?country=IS']
    await cached(...touched, ...untouched, '/countries/FR/statistics', '/countries/IS/statistics')
    const created = await demo.send('POST', '/cities', { body: newCity('Lutetia') })
    assert.equal(created.status, 201)
    assert.equal(created.headers.location, `/cities/${created.body.id}`)
    assert.equal((await demo.get('/cities?name=lutetia')).body.total, 1)
    await isStale('/cities?country=FR', '/cities?maxPopulation=1300', '/countries/FR/statistics')
    await isHit(...untouched, '/countries/IS/statistics')
  })

  it('refreshes the searches for the old and the new name of a renamed city', async () => {
    const { body: city } = await demo.send('POST', '/cities', { body: newCity('Bibracte') })
    const paths = ['/cities?name=bibracte', '/cities?name=augustodunum']
    await cached(...paths, '/cities?name=lyon', '/cities/nearest?lat=45.5&lon=2.5')
    await demo.send('PATCH', `/cities/${city.id}`, { body: { name: 'Augustodunum' } })
    const [old, renamed] = await Promise.all(paths.map((path) => demo.get(path)))
    assert.deepEqual([old?.body.total, renamed?.body.total], [0, 1])
    await isHit('/cities?name=lyon')
    const nearest = await demo.get('/cities/nearest?lat=45.5&lon=2.5')
    assert.equal(nearest.cache, STALE, 'it shows the city, so it has its tag')
  })

  it('refreshes both countries when a city moves from one to the other', async () => {
    const { body: city } = await demo.send('POST', '/cities', { body: newCity('Strassburg') })
    const paths = ['FR', 'DE', 'IS'].map((code) => `/countries/${code}/statistics`)
    await cached(...paths)
    const counts = await Promise.all(paths.map(async (path) => (await demo.get(path)).body.cities))
    const moved = newCity('Strassburg', { country: 'DE' })
    assert.equal((await demo.send('PUT', `/cities/${city.id}`, { body: moved })).status, 200)
    const [france, germany, iceland] = await Promise.all(paths.map((path) => demo.get(path)))
    assert.deepEqual([france?.cache, germany?.cache], [STALE, STALE])
    assert.match(iceland?.cache ?? '', HIT)
    assert.deepEqual([france?.body.cities, germany?.body.cities], [counts[0] - 1, counts[1] + 1])
  })

  it('refreshes the nearest cities when a city comes nearer, goes away, or is removed', async () => {
    const path = '/cities/nearest?lat=0&lon=-140&limit=1'
    await cached(path)
    const elsewhere = newCity('Atlantis', { country: 'PF', latitude: 80 })
    const { body: city } = await demo.send('POST', '/cities', { body: elsewhere })
    await cached(path)
    const here = { latitude: 0.1, longitude: -140 }
    await demo.send('PATCH', `/cities/${city.id}`, { body: here })
    const near = await demo.get(path)
    assert.deepEqual(
      [near.cache, near.body[0].name, near.body[0].distanceKm],
      [STALE, 'Atlantis', 11.119],
    )
    await cached(path)
    assert.equal((await demo.send('DELETE', `/cities/${city.id}`)).status, 204)
    const gone = await demo.get(path)
    assert.equal(gone.cache, STALE)
    assert.notEqual(gone.body[0].name, 'Atlantis')
    assert.equal((await demo.get(`/cities/${city.id}`)).status, 404)
  })

  it('leaves searches and statistics alone when a city only gets another position', async () => {
    const { body: city } = await demo.send('POST', '/cities', { body: newCity('Gergovia') })
    const untouched = ['/countries/FR/statistics', '/cities?country=FR', '/statistics']
    await cached(...untouched, '/cities?name=gergovia')
    await demo.send('PATCH', `/cities/${city.id}`, { body: { latitude: 45.6 } })
    await isHit(...untouched)
    await isStale('/cities?name=gergovia')
  })

  it('does not cache errors, and a write that fails invalidates nothing', async () => {
    for (const [path, status] of [
      ['/cities/1', 404],
      ['/countries/ZZ', 404],
      ['/countries/ZZ/statistics', 404],
      ['/cities/abc', 400],
      ['/cities?minPopulation=5&maxPopulation=1', 400],
      ['/cities?name=%00', 400],
      ['/countries?region=Atlantis', 400],
    ] as const) {
      for (const _ of [1, 2]) {
        const answer = await demo.get(path)
        assert.equal(answer.status, status, path)
        assert.doesNotMatch(answer.cache ?? '', /hit|stored/, path)
        assert.equal(typeof answer.body.message, 'string')
      }
    }
    const city = newCity('Alesia')
    assert.equal((await demo.send('POST', '/cities', { body: city })).status, 201)
    await cached('/cities?name=alesia', '/countries/FR/statistics')
    const failing: [number, string, string, object | undefined][] = [
      [409, 'POST', '/cities', city],
      [400, 'POST', '/cities', { ...city, country: 'ZZ' }],
      [400, 'POST', '/cities', { ...city, nmae: 'misspelt' }],
      [400, 'PATCH', `/cities/${PARIS}`, {}],
      [404, 'PATCH', '/cities/1', { population: 1 }],
      [404, 'PUT', '/cities/1', city],
      [404, 'DELETE', '/cities/1', undefined],
    ]
    for (const [status, method, path, body] of failing) {
      assert.equal((await demo.send(method, path, { body })).status, status, `${method} ${path}`)
    }
    await isHit('/cities?name=alesia', '/countries/FR/statistics')
  })

  it('counts countries, regions and people', async () => {
    const { body: france } = await demo.get('/countries/FR')
    assert.deepEqual([france.name, france.capitals], ['France', ['Paris']])
    const { body: statistics } = await demo.get('/countries/FR/statistics')
    assert.equal(statistics.largest[0].name, 'Paris')
    assert.ok(statistics.population.mean > statistics.population.median)
    const { body: world } = await demo.get('/statistics')
    const cities = world.reduce((sum: number, region: { cities: number }) => sum + region.cities, 0)
    assert.ok(cities > 135_000)
    const { body: countries } = await demo.get('/countries')
    assert.equal(countries.length, 250)
    const { body: oceania } = await demo.get('/countries?region=Oceania')
    assert.ok(oceania.length > 20 && oceania.length < 40)
  })

  it('has a share of its hits computed once more, and has no write that forgets a tag', async () => {
    const audit = async () => (await demo.get('/stats')).body.audit
    const { same, different } = await audit()
    const city = `/cities/${PARIS}`
    let population = 2102650
    await eventually(
      async () => {
        // `asOf` is another one in each answer, and is no difference.
        for (let times = 0; times < 50; times++) await demo.get('/cities/largest')
        for (let times = 0; times < 50; times++) await demo.get(city)
        await demo.send('PATCH', city, { body: { population: ++population } })
        return (await audit()).same >= same + 3
      },
      () => 'nothing is compared',
    )
    const { findings, skipped, failed } = await audit()
    assert.deepEqual([findings, different, failed, skipped.unsteady], [[], 0, 0, undefined])
  })

  it('says that it is healthy and what the cache did, uncached', async () => {
    const health = await demo.get('/health')
    assert.deepEqual([health.status, health.body.status, health.cache], [200, 'ok', undefined])
    await cached('/countries/IS')
    const { hits } = (await demo.get('/stats')).body.routes['/countries/:code']
    await demo.get('/countries/IS')
    const later = await demo.get('/stats')
    assert.equal(later.body.routes['/countries/:code'].hits, hits + 1)
    assert.equal(later.cache, undefined)
  })
})

function newCity(name: string, changes: object = {}): object {
  return { name, country: 'FR', population: 1200, latitude: 45.5, longitude: 2.5, ...changes }
}
