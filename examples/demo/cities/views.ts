import type { FastifyInstance } from 'fastify'

import type { Queryable } from './queries.ts'

/** Counts the views of cities; PostgreSQL has them a second later. */
export type CountView = (city: number) => Promise<void>

// One statement, so one transaction: the batch is noted and its counts are added, or neither. A batch
// whose end was not known comes again under its id, and adds nothing then.
const ADD = `
  WITH old AS (
    DELETE FROM cities_demo.flushed WHERE at < now() - interval '1 day'
  ), batch AS (
    INSERT INTO cities_demo.flushed (batch) VALUES ($1) ON CONFLICT DO NOTHING RETURNING batch
  )
  INSERT INTO cities_demo.city_views (city, views)
  SELECT city.id, seen.views
  FROM batch, unnest($2::int[], $3::bigint[]) AS seen (id, views) JOIN cities_demo.city USING (id)
  ON CONFLICT (city) DO UPDATE SET views = city_views.views + excluded.views`

/** Write-behind: a thousand views of a city are one write to PostgreSQL, and none is lost. */
export function countViews(app: FastifyInstance): CountView {
  const buffer = app.cache.buffer('city-views', {
    everyMs: 1000,
    flush: ({ increments }, { id }) =>
      app.pg.query(ADD, [id, [...increments.keys()].map(Number), [...increments.values()]]),
  })
  return (city) => buffer.increment(String(city))
}

export async function viewsOf(db: Queryable, city: number): Promise<number> {
  const { rows } = await db.query<{ views: number }>(
    'SELECT views::float8 AS views FROM cities_demo.city_views WHERE city = $1',
    [city],
  )
  return rows[0]?.views ?? 0
}
