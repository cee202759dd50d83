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

export const NoRedis = problem('The pattern needs Redis: there is none, or it does not answer', {
  statusCode: 503,
  code: 'REDIS_NEEDED',
  error: 'Service Unavailable',
  message:
    'A leaderboard needs Redis, and this demo runs without. Start it with REDIS_URL=redis://localhost:6379.',
})
export const TooMany = problem('The limit is reached; Retry-After says when to come again', {
  statusCode: 429,
  code: 'LIMIT_REACHED',
  error: 'Too Many Requests',
  message: 'Five requests in ten seconds are the limit. Come again in 7 s.',
})

/** Also for those that are not about cities: each pattern names its own. */
export const Missing = createError('NOT_FOUND', '%s', 404)
export const LimitReached = createError('LIMIT_REACHED', '%s', 429)
export const NotLoggedIn = createError('NOT_LOGGED_IN', '%s', 401)

export const RedisNeeded = createError(
  'REDIS_NEEDED',
  '%s needs Redis, and this demo runs without. Start it with REDIS_URL=redis://localhost:6379.',
  503,
)
export const RedisAway = createError('REDIS_AWAY', '%s needs Redis, which does not answer: %s', 503)

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

export const Locked = problem('Somebody else works on it', {
  statusCode: 409,
  code: 'FST_RESPONSE_CACHE_LOCK_NOT_ACQUIRED',
  error: 'Conflict',
  message: "The lock 'resource:invoice-7' is held by somebody else.",
})
export const LoggedOut = problem('Nobody is logged in', {
  statusCode: 401,
  code: 'NOT_LOGGED_IN',
  error: 'Unauthorized',
  message: 'Nobody is logged in. POST /sessions logs in.',
})

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
