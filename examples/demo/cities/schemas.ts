import Type, { type Static, type TProperties } from 'typebox'

// One definition each for validation, serialization, the documentation and the types.

const PARIS = 2988507
const MAX_INTEGER = 2_147_483_647 // PostgreSQL's integer

const id = Type.Integer({ minimum: 1, maximum: MAX_INTEGER, description: 'GeoNames id' })
// No control characters: PostgreSQL refuses NUL, and nothing sensible contains the others. Not `\p{Cc}`:
// Swagger UI compiles patterns without the flag that this needs.
const name = Type.String({ maxLength: 100, pattern: '^(?=.*\\S)[^\\x00-\\x1F\\x7F]+$' })
const country = Type.String({ pattern: '^[A-Z]{2}$', description: 'ISO 3166-1 alpha-2 code' })
const population = Type.Integer({ minimum: 0, maximum: MAX_INTEGER })
const latitude = Type.Number({ minimum: -90, maximum: 90 })
const longitude = Type.Number({ minimum: -180, maximum: 180 })

const fields = { name, country, population, latitude, longitude }
const EXAMPLE = {
  name: 'Paris',
  country: 'FR',
  population: 2138551,
  latitude: 48.85341,
  longitude: 2.3488,
}

export type City = Static<typeof City>
export const City = Type.Object(
  { id, ...fields },
  { description: 'A city', examples: [{ id: PARIS, ...EXAMPLE }] },
)

export const CityId = Type.Object({
  id: Type.Integer({ ...id, description: 'GeoNames id', examples: [PARIS] }),
})

/** A whole city, to add one or to replace one. */
export type CityFields = Static<typeof CityFields>
export const CityFields = closed(fields, {
  ...EXAMPLE,
  name: 'New Paris',
  population: 1200,
  latitude: 48.9,
})

/** Some of a city's fields. */
export type CityChanges = Static<typeof CityChanges>
export const CityChanges = Type.Partial(closed(fields, { population: 2102650 }), {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ population: 2102650 }],
})

export type CitySearch = Static<typeof CitySearch>
export const CitySearch = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        ...name,
        description: 'Part of the name, without regard to case and accents',
        examples: ['paris'],
      }),
    ),
    country: Type.Optional(Type.String({ ...country, description: 'Only in this country' })),
    minPopulation: Type.Optional(population),
    maxPopulation: Type.Optional(population),
    page: Type.Integer({ minimum: 1, maximum: 100_000, default: 1 }),
    size: Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'Cities on a page' }),
  },
  // A parameter with a default may be left out by clients and is always there for handlers.
  { required: [] },
)

export const CityPage = Type.Object(
  {
    total: Type.Integer({ description: 'Cities that match, on all pages', examples: [27] }),
    page: Type.Integer({ examples: [1] }),
    size: Type.Integer({ examples: [20] }),
    cities: Type.Array(City),
  },
  { description: 'The largest cities first' },
)

export const Views = Type.Object(
  { views: Type.Integer() },
  { description: 'A second behind at most', examples: [{ views: 1000 }] },
)

export const PathPattern = Type.Object(
  { pattern: Type.String({ pattern: '^/cities[\\w/*?-]{0,56}$' }) },
  { additionalProperties: false, examples: [{ pattern: '/cities/29*' }] },
)

export const LargestCities = Type.Object(
  { asOf: Type.String({ description: 'When PostgreSQL was asked' }), cities: Type.Array(City) },
  { description: 'The largest first' },
)

export type Place = Static<typeof Place>
export const Place = Type.Object(
  {
    lat: Type.Number({ ...latitude, examples: [64.15] }),
    lon: Type.Number({ ...longitude, examples: [-21.94] }),
    limit: Type.Integer({ minimum: 1, maximum: 100, default: 5 }),
  },
  { required: ['lat', 'lon'] },
)

export const NearestCities = Type.Array(
  Type.Object(
    { ...City.properties, distanceKm: Type.Number() },
    { examples: [{ id: PARIS, ...EXAMPLE, distanceKm: 2.688 }] },
  ),
  { description: 'The nearest city first' },
)

// A misspelt field in a write is an error, not something to leave out silently.
function closed<Fields extends TProperties>(properties: Fields, example: object) {
  return Type.Object(properties, { additionalProperties: false, examples: [example] })
}
