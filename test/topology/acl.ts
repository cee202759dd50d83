import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The lists of rights in docs/redis.md: what is documented is what is tested. */
export const section: string = /## ACL\n([\s\S]*?)\n## /.exec(
  readFileSync(join(root(), 'docs', 'redis.md'), 'utf8'),
)![1]!

/** The arguments of the documented ACL SETUSER, for another user or namespace. */
export function documentedUser(name: string, password: string, namespace = 'shop'): string[] {
  const [, command] = /```\n(ACL SETUSER [\s\S]*?)\n```/.exec(section)!
  const [, , , ...rules] = command!.split(/\s+/)
  return [
    ...['SETUSER', name, `>${password}`],
    ...rules
      .filter((rule) => !rule.startsWith('>'))
      .map((rule) => (rule.startsWith('~') ? rule.replace('shop', namespace) : rule)),
  ]
}

/** The rights that a sentence of that section names besides. */
export function documentedRights(sentence: RegExp): string[] {
  const [, text] = sentence.exec(section)!
  return [...text!.matchAll(/`(\+[\w|]+)`|(\+[\w|]+)/g)].map((match) => match[1] ?? match[2]!)
}

function root(): string {
  let folder = import.meta.dirname
  while (!folder.endsWith('build')) folder = dirname(folder)
  return dirname(folder)
}
