import type { Queryable } from '../cities/queries.ts'
import { CountryNotFound } from '../problems.ts'
import { countryStatistics, findCountry } from './queries.ts'
import type { Summary } from './schemas.ts'

/** What the code makes of a country: version 2 says more than version 1. */
export async function summarize(db: Queryable, code: string, version: number): Promise<Summary> {
  const country = await findCountry(db, code)
  if (!country) throw new CountryNotFound(code)
  const madeAt = new Date().toISOString()
  const place = `${country.name} is in ${country.region}.`
  if (version === 1) return { version, madeAt, text: place }
  const statistics = await countryStatistics(db, code)
  return { version, madeAt, text: `${place} ${statistics?.cities ?? 0} cities are known of it.` }
}
