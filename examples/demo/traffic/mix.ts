// Requests as people send them: a few cities are asked for most of the time, many now and then; and
// what they ask for is read far more often than it is written.
import type { City } from '../cities/schemas.ts'

export interface Asked {
  method: 'GET' | 'HEAD' | 'PATCH' | 'POST' | 'PUT'
  path: string
  headers: Record<string, string>
  body?: unknown
}

type Draw = () => number

/** Searches read every row of the table: more of them than this is no gentle load. */
const SEARCHED = 25
const USERS = ['ada', 'grace', 'linus', 'margaret', 'tim']
const LANGUAGES = ['en', 'de-AT, de;q=0.9', 'fr', 'es-MX, es;q=0.8', 'ja']
// What a browser of today sends anyway.
const BROWSER = { accept: 'application/json', 'accept-encoding': 'gzip, br' }

/** What is sent next: mostly what is popular. The numbers are shares of the reads. */
export class Mix {
  readonly #cities: readonly City[]
  readonly #searched: readonly City[]
  readonly #writes: number
  readonly #draw: Draw
  /** The entity tags that clients have kept, by path. */
  readonly #kept = new Map<string, string>()

  /** `cities`: the most popular first; `draw`: from 0 to 1. */
  constructor(cities: readonly City[], writes: number, draw: Draw = Math.random) {
    this.#cities = cities
    this.#searched = cities.slice(0, SEARCHED)
    this.#writes = writes
    this.#draw = draw
  }

  next(): Asked {
    return this.#draw() < this.#writes ? this.#write() : this.#read()
  }

  /** A client keeps the tag of what it got, and asks with it when it asks again. */
  keep(path: string, etag: string | undefined): void {
    if (etag !== undefined) this.#kept.set(path, etag)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > 500 && oldest !== undefined) this.#kept.delete(oldest)
  }

  #read(): Asked {
    const city = this.#popular(this.#cities)
    const searched = this.#popular(this.#searched)
    return this.#oneOf([
      [0.34, () => this.#page(`/cities/${city.id}`)],
      [0.28, () => this.#page(this.#search(searched))],
      [0.08, () => this.#page(`/countries/${city.country}`)],
      [0.06, () => this.#page(`/countries/${city.country}/statistics`)],
      [0.05, () => this.#page(placeOf(searched))],
      [0.05, () => get(`/countries/${city.country}/name`, { 'accept-language': this.#language() })],
      [0.04, () => get('/cities/largest')],
      [0.02, () => get('/statistics')],
      [0.04, () => get('/favourites', this.#credentials())],
      // With credentials around the cache: this route has not said that its answer is for all.
      [0.02, () => get(`/cities/${city.id}`, this.#credentials())],
      [0.02, () => ({ ...get(`/cities/${city.id}`), method: 'HEAD' })],
    ])
  }

  #write(): Asked {
    const city = this.#popular(this.#cities)
    const headers = BROWSER
    return this.#oneOf([
      [0.6, () => this.#count(city)],
      [0.3, () => ({ ...get(`/favourites/${city.id}`, this.#credentials()), method: 'PUT' })],
      [0.1, () => ({ method: 'POST', path: `/countries/${city.country}/changed`, headers })],
    ])
  }

  // Another last digit, so that the data stay what they are however long this runs.
  #count(city: City): Asked {
    const digit = city.population % 10
    city.population += ((digit + 1 + Math.floor(this.#draw() * 9)) % 10) - digit
    const { population } = city
    const [path, headers] = [`/cities/${city.id}`, BROWSER]
    return { method: 'PATCH', path, headers, body: { population } }
  }

  // A part of the browsers has been here before.
  #page(path: string): Asked {
    const etag = this.#draw() < 0.3 ? this.#kept.get(path) : undefined
    return get(path, etag === undefined ? {} : { 'if-none-match': etag })
  }

  #search({ name, country }: City): string {
    const query = new URLSearchParams(
      this.#draw() < 0.2 ? { country } : { name: name.slice(0, 5).trim() },
    )
    if (this.#draw() < 0.05) query.set('page', '2')
    return `/cities?${query.toString()}`
  }

  #credentials(): Record<string, string> {
    return { authorization: `Bearer ${this.#popular(USERS)}` }
  }

  #language(): string {
    return this.#popular(LANGUAGES)
  }

  /** Zipf's law, nearly: the n-th is asked for 1/n as often as the first. */
  #popular<Item>(items: readonly Item[]): Item {
    return items[Math.floor((items.length + 1) ** this.#draw()) - 1] ?? items[0]!
  }

  #oneOf(choices: readonly [share: number, make: () => Asked][]): Asked {
    let left = this.#draw()
    for (const [share, make] of choices) {
      left -= share
      if (left < 0) return make()
    }
    return choices[0]![1]()
  }
}

function get(path: string, headers: Record<string, string> = {}): Asked {
  return { method: 'GET', path, headers: { ...BROWSER, ...headers } }
}

// Rounded, as people's places are who are in the same town.
function placeOf({ latitude, longitude }: City): string {
  return `/cities/nearest?lat=${latitude.toFixed(1)}&lon=${longitude.toFixed(1)}`
}
