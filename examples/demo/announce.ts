import { styleText } from 'node:util'

/** What people should know once the demo answers. */
export interface Announcement {
  url: string
  dashboard: { path: string; user: string; password: string }
  cache: string
  database: string
  data: string
  notes: string[]
}

type Style = Parameters<typeof styleText>[0]
type Paint = (style: Style, text: string) => string

export function announcement(facts: Announcement, colours: boolean): string {
  const paint: Paint = colours ? styleText : (_style, text) => text
  const { url, dashboard } = facts
  const rows = [
    ['API', paint('cyan', url)],
    ['Docs', paint('cyan', `${url}/docs`)],
    ['Stats', paint('cyan', `${url}/stats`)],
    [
      'Dashboard',
      `${paint('cyan', url + dashboard.path)}  user ${dashboard.user}, ${dashboard.password}`,
    ],
    ['Cache', facts.cache],
    ['Database', facts.database],
    ['Data', facts.data],
  ]
  return [
    '',
    `  ${paint('bold', 'Cities and countries')}, cached by fastify-response-cache`,
    '',
    ...rows.map(([name = '', value = '']) => `  ${paint('dim', name.padEnd(10))}${value}`),
    ...facts.notes.flatMap((note) => ['', `  ${paint('yellow', note)}`]),
    '',
    ...walkthrough(url, paint),
    `  ${paint('bold', 'In another terminal, for traffic to look at')}`,
    `  npm run demo:traffic${url.endsWith(':3000') ? '' : ` -- --url ${url}`}`,
    '',
    `  ${paint('dim', 'Ctrl+C stops it.')}`,
    '',
    '',
  ].join('\n')
}

// Above each line, not behind it: an interactive zsh takes `#` for a command's argument.
function walkthrough(url: string, paint: Paint): string[] {
  const search = `curl -si '${url}/cities?name=paris' | grep -i cache-status`
  const change =
    `curl -s -X PATCH -H 'content-type: application/json' -d '{"population":2102650}' ` +
    `${url}/cities/2988507 && ${search}`
  const steps = [
    ['A miss, PostgreSQL reads every row: fwd=uri-miss; stored', search],
    ['The same again is a hit, nothing is read: hit; ttl=59', search],
    ['A write to one of these cities, and it is read anew: fwd=stale; stored', change],
  ]
  return steps.flatMap(([title = '', line = '']) => [`  ${paint('bold', title)}`, `  ${line}`, ''])
}
