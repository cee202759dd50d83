import type { Queryable } from '../cities/queries.ts'
import type { StoredProfile } from './profile-hash.ts'
import type { Profile, ProfileChanges } from './schemas.ts'

// The driver gives a bigint as text; these stay far below 2^53.
const COLUMNS = 'name, email, city, version::float8 AS version'
const NEXT = "nextval('cities_demo.profile_version')"

export async function readProfile(db: Queryable, id: string): Promise<StoredProfile | undefined> {
  const sql = `SELECT ${COLUMNS} FROM cities_demo.profile WHERE id = $1`
  const { rows } = await db.query<StoredProfile>(sql, [id])
  return rows[0]
}

export async function writeProfile(
  db: Queryable,
  id: string,
  { name, email, city }: Profile,
): Promise<StoredProfile> {
  const { rows } = await db.query<StoredProfile>(
    `INSERT INTO cities_demo.profile (id, name, email, city) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET name = $2, email = $3, city = $4, version = ${NEXT}
     RETURNING ${COLUMNS}`,
    [id, name, email, city],
  )
  return rows[0]!
}

export async function changeProfile(
  db: Queryable,
  id: string,
  changes: ProfileChanges,
): Promise<StoredProfile | undefined> {
  const { name, email, city } = changes
  const { rows } = await db.query<StoredProfile>(
    `UPDATE cities_demo.profile SET name = coalesce($2, name), email = coalesce($3, email),
       city = coalesce($4, city), version = ${NEXT}
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, name ?? null, email ?? null, city ?? null],
  )
  return rows[0]
}

/** The version of the removal; undefined when there was nothing to remove. */
export async function removeProfile(db: Queryable, id: string): Promise<number | undefined> {
  const { rows } = await db.query<{ version: number }>(
    `DELETE FROM cities_demo.profile WHERE id = $1 RETURNING ${NEXT}::float8 AS version`,
    [id],
  )
  return rows[0]?.version
}
