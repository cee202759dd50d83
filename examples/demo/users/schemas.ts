import Type, { type Static } from 'typebox'

const text = Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\x00-\\x1F\\x7F]+$' })
const fields = { name: text, email: text, city: text }
const EXAMPLE = { name: 'Ada Lovelace', email: 'ada@example.org', city: 'London' }

export type Profile = Static<typeof Profile>
export const Profile = Type.Object(fields, { additionalProperties: false, examples: [EXAMPLE] })

export type ProfileChanges = Static<typeof ProfileChanges>
export const ProfileChanges = Type.Partial(Profile, {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ city: 'Paris' }],
})

const id = Type.String({ pattern: '^[\\w-]{1,40}$', examples: ['ada'] })
export const UserId = Type.Object({ id })
export const UserField = Type.Object({
  id,
  field: Type.Enum(['name', 'email', 'city'], { type: 'string', examples: ['city'] }),
})

export const Slide = Type.Object(
  {
    slide: Type.Boolean({
      default: false,
      description: 'Sliding expiration: whoever reads it, keeps it for another minute',
    }),
  },
  { required: [] },
)

const cache = Type.Enum(['hit', 'miss', 'written', 'not written'], {
  type: 'string',
  description: 'Where it came from: the hash in Redis, or PostgreSQL',
})
const ttl = Type.Integer({ description: 'Seconds for which the hash remains' })

export const CachedProfile = Type.Object(
  { cache, ttl, profile: Profile },
  { description: 'A profile', examples: [{ cache: 'hit', ttl: 57, profile: EXAMPLE }] },
)

export const CachedField = Type.Object(
  { cache, ttl, value: Type.String() },
  { description: 'One field', examples: [{ cache: 'hit', ttl: 57, value: 'London' }] },
)
