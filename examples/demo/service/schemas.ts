import Type from 'typebox'

export const Health = Type.Object(
  {
    status: Type.Enum(['ok', 'degraded', 'down'], {
      type: 'string',
      description: 'degraded: it answers, but from its handlers, because Redis does not',
    }),
    database: Type.String({ description: "'ok', or what is wrong with it" }),
    redis: Type.String({ description: "'ok', 'not used', or what is wrong with it" }),
    uptimeSeconds: Type.Number(),
  },
  { description: 'Whether it can answer' },
)

export const Reset = Type.Object(
  {
    removedKeys: Type.Integer({
      description: 'Those of the patterns; the cache forgets by its log',
    }),
  },
  { description: 'Forgotten', examples: [{ removedKeys: 3 }] },
)
