import Type from 'typebox'

export const Client = Type.Object(
  {
    client: Type.String({
      pattern: '^[\\w-]{1,40}$',
      default: 'me',
      description: 'Counted by itself, for trying it out; elsewhere this is who is logged in',
    }),
  },
  { required: [] },
)

export const Checked = Type.Object(
  {
    allowed: Type.Boolean(),
    countedIn: Type.Enum(['redis', 'memory'], {
      type: 'string',
      description: 'With Redis all processes count together',
    }),
  },
  {
    description: 'Let through; the headers say how many remain',
    examples: [{ allowed: true, countedIn: 'redis' }],
  },
)

export const Bucket = Type.Object(
  {
    allowed: Type.Boolean(),
    tokens: Type.Number({ description: 'What remains in the bucket' }),
  },
  { description: 'Let through', examples: [{ allowed: true, tokens: 4 }] },
)
