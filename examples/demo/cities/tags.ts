import type { City, CityFields, CitySearch } from './schemas.ts'
import { searchName } from './search-name.ts'

// What a response is tagged with, and what a write invalidates. The rule behind all of it: when a
// write changes what a query would answer, the two have a tag in common. For the fields of a city
// that is easy: everything that shows a city has the tag `city:ID`. A search also changes when a
// city that it did not contain begins to match (it is new, renamed, has moved, has grown), so a
// search carries the tag of one condition that every match fulfils, and a write invalidates all
// conditions that the city fulfilled before it or fulfils after it.
//
//   city:2988507    shows the fields of this city
//   name:par        cities with these three letters in their name, in a row
//   country:FR      cities of this country: searches and statistics
//   cities          any city: searches by neither, and the statistics of the world
//   positions       the nearest cities: any city may come nearer

const LETTERS = 3

export const cityTag = (id: number | string): string => `city:${id}`
export const countryTag = (code: string): string => `country:${code}`
export const ALL_CITIES = 'cities'
export const POSITIONS = 'positions'

/** The condition of a search: the first three letters searched for are in the name of each match. */
export function searchTag(search: Pick<CitySearch, 'name' | 'country'>): string {
  const [letters] = triples(search.name ?? '')
  if (letters !== undefined) return nameTag(letters)
  return search.country === undefined ? ALL_CITIES : countryTag(search.country)
}

/** What a write touches: `before` is undefined for a new city, `after` for a deleted one. */
export function writeTags(before: City | undefined, after: City | undefined): string[] {
  const states = [before, after].filter((state) => state !== undefined)
  const tags = new Set(states.map((city) => cityTag(city.id)))
  // Lists and statistics don't depend on where a city lies; those that show it have its own tag.
  if (differ(before, after, ['name', 'country', 'population'])) {
    tags.add(ALL_CITIES)
    for (const city of states) {
      tags.add(countryTag(city.country))
      for (const letters of triples(city.name)) tags.add(nameTag(letters))
    }
  }
  // A city that goes away changes only the nearest cities that contain it: `city:ID`.
  if (after && differ(before, after, ['latitude', 'longitude'])) tags.add(POSITIONS)
  return [...tags]
}

type Field = keyof CityFields

const differ = (before: City | undefined, after: City | undefined, fields: Field[]): boolean =>
  fields.some((field) => before?.[field] !== after?.[field])

const nameTag = (letters: string): string => `name:${letters}`

function triples(name: string): string[] {
  const letters = Array.from(searchName(name))
  return letters.slice(LETTERS - 1).map((_, at) => letters.slice(at, at + LETTERS).join(''))
}
