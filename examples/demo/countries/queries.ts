import type { Queryable } from '../cities/queries.ts'
import type { Country, CountryFilter, CountryStatistics, RegionStatistics } from './schemas.ts'

const COUNTRY_COLUMNS = `code, code3, name, official_name AS "officialName", flag, region, subregion,
  capitals, languages, currencies, area_km2 AS "areaKm2"`

export async function listCountries(db: Queryable, filter: CountryFilter): Promise<Country[]> {
  const { rows } = await db.query<Country>(
    `SELECT ${COUNTRY_COLUMNS} FROM cities_demo.country
     WHERE $1::text IS NULL OR region = $1 ORDER BY name`,
    [filter.region ?? null],
  )
  return rows
}

export async function findCountry(db: Queryable, code: string): Promise<Country | undefined> {
  const sql = `SELECT ${COUNTRY_COLUMNS} FROM cities_demo.country WHERE code = $1`
  const { rows } = await db.query<Country>(sql, [code])
  return rows[0]
}

/** Undefined when there is no such country; a country without cities has zeros. */
export async function countryStatistics(
  db: Queryable,
  code: string,
): Promise<CountryStatistics | undefined> {
  const { rows } = await db.query<CountryStatistics>(
    `WITH city AS MATERIALIZED (
       SELECT id, name, population FROM cities_demo.city WHERE country = $1
     ), summary AS (
       SELECT count(*)::int AS cities,
         coalesce(sum(population), 0)::float8 AS total,
         round(avg(population), 1)::float8 AS mean,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY population) AS median,
         count(*) FILTER (WHERE population >= 1e6)::int AS millions,
         count(*) FILTER (WHERE population >= 1e5 AND population < 1e6)::int AS hundred_thousands,
         count(*) FILTER (WHERE population >= 1e4 AND population < 1e5)::int AS ten_thousands,
         count(*) FILTER (WHERE population < 1e4)::int AS smaller
       FROM city
     ), largest AS (
       SELECT id, name, population FROM city ORDER BY population DESC, id LIMIT 10
     )
     SELECT country.code, country.name, summary.cities,
       json_build_object('total', total, 'mean', mean, 'median', median,
         'perKm2', round((total / nullif(country.area_km2, 0))::numeric, 2)) AS population,
       json_build_object('millions', millions, 'hundredThousands', hundred_thousands,
         'tenThousands', ten_thousands, 'smaller', smaller) AS sizes,
       (SELECT coalesce(json_agg(largest), '[]') FROM largest) AS largest
     FROM cities_demo.country AS country, summary WHERE country.code = $1`,
    [code],
  )
  return rows[0]
}

/** Every city of the world, by region. */
export async function regionStatistics(db: Queryable): Promise<RegionStatistics[]> {
  const { rows } = await db.query<RegionStatistics>(
    `SELECT country.region,
       count(DISTINCT country.code)::int AS countries,
       count(*)::int AS cities,
       sum(city.population)::float8 AS population,
       round(avg(city.population), 1)::float8 AS "meanPopulation",
       percentile_cont(0.5) WITHIN GROUP (ORDER BY city.population) AS "medianPopulation",
       (array_agg(city.name ORDER BY city.population DESC, city.id))[1] AS "largestCity"
     FROM cities_demo.city AS city JOIN cities_demo.country AS country ON country.code = city.country
     GROUP BY country.region ORDER BY population DESC`,
  )
  return rows
}
