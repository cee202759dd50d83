import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'

import type { City, CitySearch } from '../../examples/demo/cities/schemas.ts'
import { searchName } from '../../examples/demo/cities/search-name.ts'
import { searchTag, writeTags } from '../../examples/demo/cities/tags.ts'

const paris: City = {
  id: 2988507,
  name: 'Paris',
  country: 'FR',
  population: 2138551,
  latitude: 48.85341,
  longitude: 2.3488,
}

describe('The tags of the demo', () => {
  it('let a rename refresh the searches for the new name and for the old one', () => {
    const tags = writeTags(paris, { ...paris, name: 'Lutetia' })
    assert.ok(tags.includes(searchTag({ name: 'aris' })))
    assert.ok(tags.includes(searchTag({ name: 'Lutétia' })))
    assert.ok(!tags.includes(searchTag({ name: 'london' })))
  })

  it('let a city that moves to another country refresh both countries', () => {
    const tags = writeTags(paris, { ...paris, country: 'BE' })
    assert.ok(tags.includes('country:FR') && tags.includes('country:BE'))
  })

  it('leave searches and statistics alone when only the position changes', () => {
    const tags = writeTags(paris, { ...paris, latitude: 48.86 })
    assert.deepEqual(tags, ['city:2988507', 'positions'])
  })

  it('leave the nearest cities alone when none can have come nearer', () => {
    for (const after of [{ ...paris, population: 1 }, undefined]) {
      assert.ok(!writeTags(paris, after).includes('positions'))
    }
  })

  it('are shared by a write and each search that it adds a city to or takes one from', () => {
    fc.assert(
      fc.property(maybe(city), maybe(city), search, (before, after, asked) => {
        if (matches(before, asked) === matches(after, asked)) return
        assert.ok(writeTags(before, after).includes(searchTag(asked)))
      }),
      { numRuns: 5000 },
    )
  })

  it('are shared by a write and each search whose order it may change', () => {
    fc.assert(
      fc.property(city, population, search, (before, changed, asked) => {
        if (!matches(before, asked) || changed === before.population) return
        const tags = writeTags(before, { ...before, population: changed })
        assert.ok(tags.includes(searchTag(asked)))
      }),
      { numRuns: 2000 },
    )
  })
})

// Few letters, so that names and searches meet; some of them more than one code unit or accented.
const name = fc.string({ unit: fc.constantFrom('a', 'b', 'É', 'e', ' ', '😀'), maxLength: 6 })
const country = fc.constantFrom('FR', 'BE')
const population = fc.nat({ max: 3 })
const city: fc.Arbitrary<City> = fc.record({ ...constants(paris), name, country, population })
const search: fc.Arbitrary<CitySearch> = fc.record(
  {
    ...constants({ page: 1, size: 20 }),
    ...{ name, country, minPopulation: population, maxPopulation: population },
  },
  { requiredKeys: ['page', 'size'] },
)

function constants<Values extends object>(values: Values) {
  const entries = Object.entries(values).map(([key, value]) => [key, fc.constant(value)])
  return Object.fromEntries(entries) as { [Key in keyof Values]: fc.Arbitrary<Values[Key]> }
}

function maybe<Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> {
  return fc.option(arbitrary, { nil: undefined })
}

/** What the SQL says. */
function matches(one: City | undefined, asked: CitySearch): boolean {
  return (
    one !== undefined &&
    (asked.name === undefined || searchName(one.name).includes(searchName(asked.name))) &&
    (asked.country === undefined || one.country === asked.country) &&
    one.population >= (asked.minPopulation ?? 0) &&
    one.population <= (asked.maxPopulation ?? Infinity)
  )
}
