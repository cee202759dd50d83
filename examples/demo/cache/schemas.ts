import Type from 'typebox'

const key = Type.String({
  pattern: '^[\\w:.@-]{1,100}$',
  examples: ['greeting'],
  description: 'Letters, digits and . : @ _ -',
})

export const Key = Type.Object({ key })

export const NewValue = Type.Object(
  {
    value: Type.Unknown({ description: 'Any JSON' }),
    ttl: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400, description: 'Seconds' })),
    tags: Type.Optional(
      Type.Array(Type.String({ pattern: '^[\\w:.@-]{1,100}$' }), { maxItems: 10 }),
    ),
  },
  {
    additionalProperties: false,
    examples: [{ value: { text: 'hello' }, ttl: 60, tags: ['greetings'] }],
  },
)

export const Value = Type.Object(
  {
    key: Type.String(),
    value: Type.Unknown(),
    ttl: Type.Integer({ description: 'Seconds for which it remains usable' }),
  },
  {
    description: 'A value',
    examples: [{ key: 'greeting', value: { text: 'hello' }, ttl: 57 }],
  },
)

export const Stored = Type.Object(
  { key: Type.String(), stored: Type.Boolean({ description: 'False: Redis did not confirm' }) },
  { description: 'What became of it', examples: [{ key: 'greeting', stored: true }] },
)

export const Exists = Type.Object(
  { exists: Type.Boolean() },
  { description: 'Whether there is a value', examples: [{ exists: true }] },
)

export const KeyFilter = Type.Object(
  {
    prefix: Type.String({ maxLength: 100, default: '', examples: ['greet'] }),
    page: Type.Integer({ minimum: 1, maximum: 1000, default: 1 }),
    size: Type.Integer({ minimum: 1, maximum: 100, default: 20 }),
  },
  { required: [] },
)

export const KeyPage = Type.Object(
  {
    total: Type.Integer(),
    page: Type.Integer(),
    size: Type.Integer(),
    keys: Type.Array(Type.String()),
  },
  {
    description: 'Keys with a usable value',
    examples: [{ total: 1, page: 1, size: 20, keys: ['greeting'] }],
  },
)

export const KeyPattern = Type.Object({
  pattern: Type.String({
    pattern: '^[\\w:.@*?-]{1,64}$',
    examples: ['greet*'],
    description: '`*` is any number of characters, `?` one',
  }),
})

export const TagList = Type.Object(
  {
    tags: Type.Array(Type.String({ pattern: '^[\\w:.@-]{1,100}$' }), {
      minItems: 1,
      maxItems: 100,
    }),
  },
  { additionalProperties: false, examples: [{ tags: ['greetings'] }] },
)
