import { CityExists, CountryUnknown } from '../problems.ts'
import { CITY_COLUMNS, type Queryable } from './queries.ts'
import type { City, CityChanges, CityFields } from './schemas.ts'
import { searchName } from './search-name.ts'

/** A city as it was and as it is now; what a write invalidates depends on both. */
export interface Change {
  before: City
  after: City
}

export async function addCity(db: Queryable, fields: CityFields): Promise<City> {
  const { rows } = await explained(fields, () =>
    db.query<City>(
      `INSERT INTO cities_demo.city
         (name, search_name, country, population, latitude, longitude)
       VALUES ($1, $2, $3, $4, $5, $6) RETURNING ${CITY_COLUMNS}`,
      values(fields),
    ),
  )
  return rows[0]!
}

/** Undefined when there is no such city. Fields that are left out stay as they are. */
export async function changeCity(
  db: Queryable,
  id: number,
  changes: CityChanges,
): Promise<Change | undefined> {
  // One statement: `before` is what this very update replaced, whoever else writes the same city.
  const { rows } = await explained(changes, () =>
    db.query<Change>(
      `WITH before AS (
         SELECT ${CITY_COLUMNS} FROM cities_demo.city WHERE id = $7 FOR UPDATE
       ), after AS (
         UPDATE cities_demo.city AS city SET
           name = coalesce($1, city.name),
           search_name = coalesce($2, city.search_name),
           country = coalesce($3, city.country),
           population = coalesce($4, city.population),
           latitude = coalesce($5, city.latitude),
           longitude = coalesce($6, city.longitude)
         FROM before WHERE city.id = before.id
         RETURNING city.id, city.name, city.country, city.population, city.latitude, city.longitude
       )
       SELECT to_json(before) AS before, to_json(after) AS after FROM before, after`,
      [...values(changes), id],
    ),
  )
  return rows[0]
}

export async function removeCity(db: Queryable, id: number): Promise<City | undefined> {
  const sql = `DELETE FROM cities_demo.city WHERE id = $1 RETURNING ${CITY_COLUMNS}`
  const { rows } = await db.query<City>(sql, [id])
  return rows[0]
}

function values(fields: CityChanges): unknown[] {
  const { name, country, population, latitude, longitude } = fields
  const search = name === undefined ? undefined : searchName(name)
  return [name, search, country, population, latitude, longitude].map((value) => value ?? null)
}

// The constraints decide, not a look beforehand: between a look and a write somebody else may write.
async function explained<Result>(
  fields: CityChanges,
  write: () => Promise<Result>,
): Promise<Result> {
  try {
    return await write()
  } catch (error) {
    const { constraint } = error as { constraint?: string }
    if (constraint === 'city_is_new') throw new CityExists()
    if (constraint === 'city_has_a_country') throw new CountryUnknown(fields.country)
    throw error
  }
}
