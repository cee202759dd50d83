import Type, { type Static } from 'typebox'

const name = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: '^[^\\x00-\\x1F\\x7F]+$',
  examples: ['send the newsletter'],
})

export type NewTask = Static<typeof NewTask>
export const NewTask = Type.Object(
  {
    name,
    priority: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_097_152,
        description: 'The lower, the sooner, as BullMQ has it; without one before all others',
      }),
    ),
  },
  { additionalProperties: false, examples: [{ name: 'send the newsletter', priority: 2 }] },
)

export type Task = Static<typeof Task>
export const Task = Type.Object(
  { id: Type.String(), name: Type.String(), priority: Type.Integer() },
  { description: 'A task', examples: [{ id: '1', name: 'send the newsletter', priority: 2 }] },
)

export const Tasks = Type.Array(Task, { description: 'In the order in which they will be taken' })

export const NewItem = Type.Object(
  { name },
  { additionalProperties: false, examples: [{ name: 'water the plants' }] },
)

export const Items = Type.Array(Type.String(), { description: 'The oldest first' })

export const Item = Type.Object(
  { name: Type.String(), remaining: Type.Integer() },
  { description: 'What was taken', examples: [{ name: 'water the plants', remaining: 0 }] },
)

export const NewReport = Type.Object(
  { country: Type.String({ pattern: '^[A-Z]{2}$' }) },
  { additionalProperties: false, examples: [{ country: 'FR' }] },
)

export const ReportId = Type.Object({
  id: Type.String({ pattern: '^\\d{1,15}$', examples: ['1'] }),
})

export const Report = Type.Object(
  {
    id: Type.String(),
    state: Type.String({ description: 'waiting, active, completed, failed, …' }),
    result: Type.Optional(Type.Unknown({ description: 'What the worker returned' })),
    failure: Type.Optional(Type.String()),
  },
  {
    description: 'How far the work is',
    examples: [{ id: '1', state: 'completed', result: { code: 'FR', cities: 4321 } }],
  },
)
