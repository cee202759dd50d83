import Type, { type Static } from 'typebox'

export type Country = Static<typeof Country>
export const Country = Type.Object({
  code: Type.String({ description: 'ISO 3166-1 alpha-2 code', examples: ['FR'] }),
  code3: Type.String(),
  name: Type.String(),
  officialName: Type.String(),
  flag: Type.String(),
  region: Type.String(),
  subregion: Type.String(),
  capitals: Type.Array(Type.String()),
  languages: Type.Array(Type.String()),
  currencies: Type.Array(Type.String()),
  areaKm2: Type.Number(),
})

export const Countries = Type.Array(Country)

export const CountryCode = Type.Object({
  code: Type.String({ pattern: '^[A-Z]{2}$', examples: ['FR'] }),
})

export type CountryFilter = Static<typeof CountryFilter>
export const CountryFilter = Type.Object({
  region: Type.Optional(
    Type.Enum(['Africa', 'Americas', 'Antarctic', 'Asia', 'Europe', 'Oceania'], { type: 'string' }),
  ),
})

/** The first is what clients get that ask for none of them. */
export const LANGUAGES = ['en', 'de', 'fr', 'es', 'ja'] as const

export const LocalName = Type.Object(
  { code: Type.String(), language: Type.String(), name: Type.String() },
  { description: 'A name', examples: [{ code: 'FR', language: 'de', name: 'Frankreich' }] },
)

export const SummaryVersion = Type.Object(
  { version: Type.Integer({ minimum: 1, maximum: 2, default: 1 }) },
  { required: [] },
)

export type Summary = Static<typeof Summary>
export const Summary = Type.Object(
  {
    version: Type.Integer(),
    madeAt: Type.String({ description: 'When the value was computed' }),
    text: Type.String(),
  },
  {
    description: 'A summary',
    examples: [{ version: 1, madeAt: '2026-11-21T12:00:00.000Z', text: 'France is in Europe.' }],
  },
)

const nullableNumber = Type.Union([Type.Number(), Type.Null()])

export type CountryStatistics = Static<typeof CountryStatistics>
export const CountryStatistics = Type.Object({
  code: Type.String(),
  name: Type.String(),
  cities: Type.Integer({ description: 'Cities of at least about a thousand people' }),
  population: Type.Object({
    total: Type.Number({ description: 'In cities' }),
    mean: nullableNumber,
    median: nullableNumber,
    perKm2: nullableNumber,
  }),
  sizes: Type.Object({
    millions: Type.Integer({ description: 'Cities of a million and more' }),
    hundredThousands: Type.Integer(),
    tenThousands: Type.Integer(),
    smaller: Type.Integer(),
  }),
  largest: Type.Array(
    Type.Object({ id: Type.Integer(), name: Type.String(), population: Type.Integer() }),
  ),
})

export type RegionStatistics = Static<typeof RegionStatistics>
export const RegionStatistics = Type.Object({
  region: Type.String(),
  countries: Type.Integer(),
  cities: Type.Integer(),
  population: Type.Number(),
  meanPopulation: Type.Number(),
  medianPopulation: Type.Number(),
  largestCity: Type.String(),
})
