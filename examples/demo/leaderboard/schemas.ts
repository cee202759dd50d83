import Type from 'typebox'

export const Player = Type.Object({
  player: Type.String({ pattern: '^[\\w-]{1,40}$', examples: ['ada'] }),
})

export const Points = Type.Object(
  { points: Type.Number({ minimum: -1e9, maximum: 1e9 }) },
  { additionalProperties: false, examples: [{ points: 25 }] },
)

export const Standing = Type.Object(
  {
    player: Type.String(),
    score: Type.Number(),
    rank: Type.Integer({ description: '1 is the best' }),
  },
  { description: 'Where a player stands', examples: [{ player: 'ada', score: 25, rank: 1 }] },
)

export const Top = Type.Array(Standing, { description: 'The best first' })

export const TopFilter = Type.Object(
  { top: Type.Integer({ minimum: 1, maximum: 100, default: 10 }) },
  { required: [] },
)
