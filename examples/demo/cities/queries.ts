import type { City, CitySearch, Place } from './schemas.ts'
import { searchName } from './search-name.ts'

/** A pool or one of its connections. */
export interface Queryable {
  // oxlint-disable-next-line typescript/no-explicit-any
  query<Row extends object = any>(sql: string, values?: unknown[]): Promise<{ rows: Row[] }>
}

export interface FoundCities {
  total: number
  cities: City[]
}

export const CITY_COLUMNS = 'id, name, country, population, latitude, longitude'

export async function findCity(db: Queryable, id: number): Promise<City | undefined> {
  const sql = `SELECT ${CITY_COLUMNS} FROM cities_demo.city WHERE id = $1`
  const { rows } = await db.query<City>(sql, [id])
  return rows[0]
}

/** One page of the cities that match, the largest first, and how many match on all pages. */
export async function searchCities(db: Queryable, search: CitySearch): Promise<FoundCities> {
  const { rows } = await db.query<{ total: number; cities: City[] }>(
    `WITH found AS MATERIALIZED (
       SELECT ${CITY_COLUMNS} FROM cities_demo.city
       WHERE ($1::text IS NULL OR search_name LIKE $1)
         AND ($2::text IS NULL OR country = $2)
         AND ($3::int IS NULL OR population >= $3)
         AND ($4::int IS NULL OR population <= $4)
     ), page AS (
       SELECT * FROM found ORDER BY population DESC, id LIMIT $5 OFFSET $6
     )
     SELECT (SELECT count(*)::int FROM found) AS total,
       (SELECT coalesce(json_agg(page), '[]') FROM page) AS cities`,
    [
      search.name === undefined ? null : containing(searchName(search.name)),
      search.country ?? null,
      search.minPopulation ?? null,
      search.maxPopulation ?? null,
      search.size,
      (search.page - 1) * search.size,
    ],
  )
  return rows[0] ?? { total: 0, cities: [] }
}

// The text is the user's: its own % and _ stand for themselves.
const containing = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** By the great circle (haversine). No index knows that distance: every city is measured. */
export async function nearestCities(
  db: Queryable,
  place: Place,
): Promise<(City & { distanceKm: number })[]> {
  const { rows } = await db.query<City & { distanceKm: number }>(
    `SELECT ${CITY_COLUMNS}, round(distance::numeric, 3)::float8 AS "distanceKm"
     FROM cities_demo.city, LATERAL (
       SELECT 12742 * asin(least(1, sqrt(
         sin(radians(latitude - $1) / 2) ^ 2
         + cos(radians($1)) * cos(radians(latitude)) * sin(radians(longitude - $2) / 2) ^ 2
       ))) AS distance
     ) AS measured
     ORDER BY distance, id LIMIT $3`,
    [place.lat, place.lon, place.limit],
  )
  return rows
}
