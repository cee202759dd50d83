import createError from '@fastify/error'
import Type from 'typebox'

/** The bodies of errors, as Fastify writes them. */
export const Invalid = problem('The request is wrong, and the message says how', {
  statusCode: 400,
  code: 'FST_ERR_VALIDATION',
  error: 'Bad Request',
  message: 'params/id must be integer',
})
export const NotFound = problem('There is no such thing', {
  statusCode: 404,
  code: 'CITY_NOT_FOUND',
  error: 'Not Found',
  message: 'No city has the id 1. GET /cities searches them.',
})
export const Conflict = problem('It exists already', {
  statusCode: 409,
  code: 'CITY_EXISTS',
  error: 'Conflict',
  message: 'There is a city with this name, country and place already.',
})

export const CityNotFound = createError(
  'CITY_NOT_FOUND',
  'No city has the id %s. GET /cities searches them.',
  404,
)
export const CityExists = createError(
  'CITY_EXISTS',
  'There is a city with this name, country and place already. PATCH /cities/:id changes one.',
  409,
)
export const CountryNotFound = createError(
  'COUNTRY_NOT_FOUND',
  "No country has the code '%s'. GET /countries lists them.",
  404,
)
export const CountryUnknown = createError(
  'COUNTRY_UNKNOWN',
  "No country has the code '%s'. GET /countries lists them.",
  400,
)
export const EmptyRange = createError(
  'EMPTY_RANGE',
  'minPopulation (%s) is larger than maxPopulation (%s).',
  400,
)

function problem(description: string, example: object) {
  return Type.Object(
    {
      statusCode: Type.Integer(),
      code: Type.Optional(Type.String()),
      error: Type.String(),
      message: Type.String(),
    },
    { description, examples: [example] },
  )
}
